import pytest

from secrets_app.models import AuditEvent, SecretVersion
from tests.api.test_concurrency import all_at_once
from tests.cast import Api, body, secret_url


def put(api, vault, value="x", **headers):
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return api.put(secret_url(vault), body(value), headers=named)


def get(api, vault, etag):
    return api.get(secret_url(vault), headers={"If-None-Match": etag})


@pytest.mark.parametrize(
    ("etag", "status"),
    [
        ('"2"', 201),
        ("*", 201),
        ('"1", "2"', 201),
        (' "2" ', 201),
        ('"1"', 412),
        ('"3"', 412),
        ('W/"2"', 412),
        ('"02"', 412),
        ('"x"', 412),
        ('""', 412),
    ],
)
def test_if_match_lets_a_write_pass_only_on_the_current_version(alice, vault, etag, status):
    put(alice.api, vault, "one")
    put(alice.api, vault, "two")
    assert put(alice.api, vault, "three", If_Match=etag).status_code == status
    assert SecretVersion.objects.count() == (3 if status == 201 else 2)


def test_if_match_fails_where_there_is_nothing(alice, vault):
    assert put(alice.api, vault, If_Match="*").status_code == 412
    assert put(alice.api, vault, If_Match='"0"').status_code == 412
    put(alice.api, vault)
    alice.api.delete(secret_url(vault))
    assert put(alice.api, vault, If_Match='"1"').status_code == 412
    assert not SecretVersion.objects.filter(number=2).exists()


def test_if_none_match_star_only_creates(alice, vault):
    assert put(alice.api, vault, "one", If_None_Match="*").status_code == 201
    response = put(alice.api, vault, "two", If_None_Match="*")
    assert response.status_code == 412
    assert response["Content-Type"] == "application/problem+json"
    alice.api.delete(secret_url(vault))
    assert put(alice.api, vault, "three", If_None_Match="*").json()["version"] == 2


@pytest.mark.parametrize("etag", ["2", '"2', "W/2", '"1" "2"', '"1",', "", "*, *", '"é"x'])
def test_a_malformed_tag_is_400_and_writes_nothing(alice, vault, etag):
    put(alice.api, vault)
    response = put(alice.api, vault, If_Match=etag)
    assert response.status_code == 400
    assert list(response.json()["errors"]) == ["If-Match"]


def test_on_a_write_if_none_match_takes_a_star_only(alice, vault):
    assert put(alice.api, vault, If_None_Match='"1"').status_code == 400


def test_a_failed_precondition_leaves_an_event(alice, vault):
    put(alice.api, vault, If_Match="*")
    event = AuditEvent.objects.get(action="secret.write")
    assert (event.outcome, event.details["reason"]) == ("failure", "PreconditionFailed")


@pytest.mark.parametrize("etag", ['"1"', 'W/"1"', "*", '"7", "1"'])
def test_a_reader_that_has_the_version_gets_304_no_value_and_spends_nothing(alice, vault, etag):
    alice.api.put(secret_url(vault), body("hunter2", max_access_count=1))
    for _ in range(3):
        response = get(alice.api, vault, etag)
        assert (response.status_code, response.content) == (304, b"")
        assert response["ETag"] == '"1"'
    assert SecretVersion.objects.get().access_count == 0
    assert get(alice.api, vault, '"2"').json()["value"] == "hunter2"
    # What is gone is gone, whatever the reader has.
    assert get(alice.api, vault, etag).status_code == 410


def test_a_304_is_a_look_and_no_read_in_the_log(alice, vault):
    put(alice.api, vault)
    get(alice.api, vault, '"1"')
    assert not AuditEvent.objects.filter(action="secret.read").exists()
    assert AuditEvent.objects.filter(action="secret.describe").count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_many_writers_with_the_same_expectation_exactly_one_wins(alice, vault):
    put(alice.api, vault, "start")
    token = alice.token
    answers = all_at_once(lambda n: put(Api(token), vault, f"{n}", If_Match='"1"'), 16)
    assert sorted(answer.status_code for answer in answers) == [201] + [412] * 15
    winner = next(n for n, answer in enumerate(answers) if answer.status_code == 201)
    assert alice.api.get(secret_url(vault)).json()["value"] == str(winner)


@pytest.mark.django_db(transaction=True)
def test_of_many_creators_exactly_one_wins(alice, vault):
    token = alice.token
    answers = all_at_once(lambda n: put(Api(token), vault, f"{n}", If_None_Match="*"), 16)
    assert sorted(answer.status_code for answer in answers) == [201] + [412] * 15
    assert SecretVersion.objects.count() == 1
