"""Input that broke other servers: it is refused, said back to nobody, and becomes nothing but text."""

import json
import sys

import pytest

from secrets_app.models import AuditEvent
from tests.api.test_every_route import ENDPOINTS, names, url
from tests.cast import body, secret_url
from tests.every_action import ROUTES, make_world
from tests.spellings import found_in

CANARY = "canary-" + "c0ffee-5f1c-ünï"

SHAPES = [CANARY, [CANARY], {"x": CANARY}, [[CANARY]], {"x": {"x": CANARY}}]


@pytest.fixture(scope="module")
def document():
    from secrets_app.api.views.openapi import openapi_document

    return openapi_document()


def fields_of(document, method, route):
    """The names that the body and the query of a route may have."""
    path = url(route, "{vault_id}").replace("some/path", "{path}").replace("/1", "/{number}")
    template = next(
        (each for each in document["paths"] if _same(each, path)),
        None,
    )
    operation = document["paths"].get(template, {}).get(method.lower(), {})
    query = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"]
    media = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if media is None:
        return [], query
    schema = document["components"]["schemas"][media["schema"]["$ref"].rpartition("/")[2]]
    return list(schema["properties"]), query


def _same(left, right):
    import re

    blank = re.compile(r"\{[^}]*\}|[0-9a-f-]{36}")
    return blank.sub("*", left) == blank.sub("*", right)


CHANGING = [each for each in ENDPOINTS if each[2] in ("POST", "PUT", "PATCH")]


@pytest.mark.parametrize("endpoint", CHANGING, ids=names(CHANGING))
def test_no_error_repeats_what_was_sent(endpoint, alice, vault, document, caplog):
    """CVE-2025-4166, CVE-2025-52893"""
    route, _, method, _ = endpoint
    caplog.set_level("DEBUG")
    known, query = fields_of(document, method, route)
    tried = [dict.fromkeys(known, shape) for shape in SHAPES]
    tried += [{name: shape} for name in known for shape in SHAPES]
    # A name nobody knows is said, so that a mistyped one can be found; what it holds is not.
    tried += [{"expire_at": shape} for shape in SHAPES]
    tried += [*SHAPES[:2], f'{{"a": {CANARY}}}'.encode()]
    refused = 0
    for content in tried:
        response = alice.api.request(method, url(route, vault.id), content)
        if response.status_code >= 400:
            refused += 1
            assert found_in(response.content, CANARY) == []
    for name in [*query, "nobody_knows"]:
        response = alice.api.request(method, f"{url(route, vault.id)}?{name}={CANARY}")
        assert response.status_code < 400 or found_in(response.content, CANARY) == []
    assert refused >= 4
    assert found_in(caplog.text.encode(), CANARY) == []
    # An event holds what was done. Names of things are part of that; of what was refused nothing is.
    details = AuditEvent.objects.exclude(outcome="success").values_list("details", flat=True)
    assert found_in(json.dumps(list(details)).encode(), CANARY) == []


@pytest.mark.parametrize(
    "header", ["If-Match", "If-None-Match", "Idempotency-Key", "Authorization"]
)
def test_no_error_repeats_a_header(alice, vault, header):
    """CVE-2025-4166, CVE-2025-52893"""
    sent = CANARY.replace("ünï", "uni") + " ;"
    response = alice.api.put(secret_url(vault), body(), headers={header: sent})
    assert response.status_code in (400, 401)
    assert found_in(response.content + str(response.headers).encode(), sent) == []


SURROGATE = b'"\\ud800"'
STRANGE = [
    ("value", SURROGATE),
    ("metadata", b'{"a": ' + SURROGATE + b"}"),
    ("metadata", b"{" + SURROGATE + b": 1}"),
    ("metadata", b'{"a": "\\u0000"}'),
    ("metadata", b'{"\\u0000": 1}'),
    ("metadata", b'{"a": NaN}'),
    ("metadata", b'{"a": Infinity}'),
    ("metadata", b'{"a": 1e999}'),
    ("metadata", b'{"a": ' + b"9" * 5000 + b"}"),
    ("metadata", b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}"),
    ("max_access_count", b"NaN"),
    ("max_access_count", b"1e999"),
    ("max_access_count", b"-0.0"),
    ("max_access_count", b"9" * 5000),
    ("expires_at", b'"9999-12-31T23:59:59-14:00"'),
    ("expires_at", b'"0001-01-01T00:00:00+14:00"'),
    ("expires_at", b'"2030-01-01T00:00:00+99:99"'),
    ("type", SURROGATE),
]


@pytest.mark.parametrize(("field", "raw"), STRANGE, ids=range(len(STRANGE)))
def test_what_json_can_say_and_databases_cannot_keep_is_a_400(alice, vault, field, raw):
    """PostgreSQL and Python limits: surrogates, NUL, NaN, huge integers, year 9999 with an offset."""
    whole = {name: json.dumps(value).encode() for name, value in body().items()} | {field: raw}
    content = b",".join(b'"%s":%s' % (name.encode(), value) for name, value in whole.items())
    for method, path, spelled in [
        ("PUT", secret_url(vault), b"{" + content + b"}"),
        (
            "POST",
            f"/v1/vaults/{vault.id}/secrets:batchWrite",
            b'{"secrets":[{"path":"a",' + content + b"}]}",
        ),
    ]:
        response = alice.api.request(method, path, spelled)
        assert response.status_code == 400, response.content
        assert response["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("POST", "/v1/vaults", "name"),
        ("POST", "/v1/agents", "description"),
        ("PATCH", "/v1/auth/me", "display_name"),
        ("POST", "/v1/auth/token", "email"),
        ("POST", "/v1/auth/api-key-token", "api_key"),
    ],
)
@pytest.mark.parametrize("raw", [SURROGATE, b'"\\u0000"', b"1e999", b"9" * 5000])
def test_the_same_in_other_bodies(alice, method, path, name, raw):
    """PostgreSQL and Python limits"""
    rest = b', "password": "x"' if name == "email" else b""
    rest += b', "name": "x"' if name == "description" else b""
    response = alice.api.request(method, path, b'{"%s": %s%s}' % (name.encode(), raw, rest))
    assert response.status_code == 400


# Python calls this for every file, process and import; a hook cannot be taken away again.
_watching = []
sys.addaudithook(lambda event, arguments: _watching and _watching[-1](event, arguments))
_COMMANDS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "pty.spawn")


def test_nothing_set_over_the_api_becomes_a_file_name_or_a_command(alice, bob, tmp_path):
    """CVE-2025-54997"""
    evil = "; touch /tmp/pwned #$(id)`id`|../../evil"
    world = make_world(alice, bob, tmp_path)
    seen = []

    def watch(event, arguments):
        said = str(arguments)
        if (
            event in _COMMANDS
            or event.startswith(("shutil.", "os.rename", "os.remove", "os.mkdir"))
            or (event == "open" and "evil" in said)
            or (event in ("exec", "compile", "import") and "touch" in said)
        ):
            seen.append((event, said))

    _watching.append(watch)
    try:
        for path, content in [
            ("/v1/vaults", {"name": evil, "description": evil}),
            ("/v1/agents", {"name": evil, "description": evil}),
            ("/v1/auth/api-keys", {"name": evil}),
        ]:
            assert alice.api.post(path, content).status_code == 201
        alice.api.request("PATCH", "/v1/auth/me", {"display_name": evil})
        written = body(evil, metadata={evil: evil}, rotation_policy={"command": evil, "file": evil})
        assert alice.api.put(world.at("/secrets/evil"), written).status_code == 201
        for route, use in ROUTES.items():
            if route[0] != "DELETE":
                use(world)
    finally:
        _watching.pop()
    assert seen == []
    # The watch itself works.
    _watching.append(watch)
    (tmp_path / "evil").touch()
    _watching.pop()
    assert len(seen) == 1
