"""What of a request's head reaches Django. tests/e2e/test_forged_addresses.py sends the same over TCP."""

import pytest

from vaultsite.server.headers import Refused, environ_of

SCOPE = {
    "type": "http",
    "method": "GET",
    "http_version": "1.1",
    "scheme": "http",
    "raw_path": b"/v1/health",
    "query_string": b"",
    "server": ("127.0.0.1", "8000"),
    "client": ("192.0.2.1", "4000"),
}


def environ(*headers, **scope):
    return environ_of(SCOPE | {"headers": list(headers)} | scope)


@pytest.mark.parametrize(
    "name",
    [
        b"x_forwarded_for",
        b"x-forwarded_for",
        b"author_ization",
        b"content_length",
        b"_host",
        b"if_match",
    ],
)
def test_a_name_with_an_underscore_reaches_django_under_no_name(name):
    assert environ((name, b"v")) == environ()


def test_no_header_can_claim_that_names_were_kept_apart():
    made = environ((b"secrets_app.names_kept_apart", b"1"), (b"secrets-app.names-kept-apart", b"1"))
    assert made["secrets_app.names_kept_apart"] is True
    assert made["HTTP_SECRETS_APP.NAMES_KEPT_APART"] == "1"


def test_lines_of_one_name_are_joined_in_their_order():
    made = environ(
        (b"x-forwarded-for", b"198.51.100.7"),
        (b"x_forwarded_for", b"198.51.100.8"),
        (b"x-forwarded-for", b"192.0.2.9"),
        (b"cookie", b"a=1"),
        (b"cookie", b"b=2"),
    )
    assert made["HTTP_X_FORWARDED_FOR"] == "198.51.100.7, 192.0.2.9"
    assert made["HTTP_COOKIE"] == "a=1; b=2"


@pytest.mark.parametrize(
    "name",
    [
        *(b"host", b"authorization", b"content-type", b"content-length", b"x-forwarded-proto"),
        *(b"idempotency-key", b"origin", b"x-csrftoken"),
    ],
)
def test_a_header_with_one_value_is_refused_with_two(name):
    with pytest.raises(Refused) as refused:
        environ((name, b"1"), (name, b"2"))
    assert refused.value.status == 400
    assert "1" in environ((name, b"1"), (name, b"1")).values()


def test_bytes_of_a_path_and_of_values_are_kept():
    made = environ((b"x-any", b"\xff\xc3\xa4"), raw_path=b"/a%2Fb/%ff%C3%A4")
    assert made["PATH_INFO"].encode("latin-1") == b"/a/b/\xff\xc3\xa4"
    assert made["HTTP_X_ANY"].encode("latin-1") == b"\xff\xc3\xa4"


def test_a_charset_is_taken_away():
    made = environ((b"content-type", b"application/json; charset=rot13; v=1"))
    assert made["CONTENT_TYPE"] == "application/json; v=1"
