"""Whatever is sent to the Vault door: an answer in Vault's form, no 5xx, and nothing of it in a log.

Each example is a request that is well made, but for one or two of its parts: verb, mount, path, query,
token, headers, kind and body. So what is wrong gets as far as it can, with a canary wherever there is room.
"""

import json
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from secrets_app.models import Secret
from tests.spellings import found_in
from tests.vault_api.conftest import MERGE_PATCH, Door
from tests.vault_api.test_every_route import ACTIONS, names, request_of

CANARY = "canary-" + "5fz9"
ENVELOPE = {
    "request_id",
    "lease_id",
    "renewable",
    "lease_duration",
    "data",
    "wrap_info",
    "warnings",
    "auth",
}

texts = st.sampled_from(["", "a", "true", "1h", "\0", "\u202e", "x" * 600, CANARY]) | st.text(
    max_size=6
).map(lambda text: text + CANARY)
numbers = (
    st.sampled_from([0, 1, 2, 3, "0", "1", "2", " 1", "+1", "1e0", "1.0", -1, "-1", 2**31, 1.5])
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
)
anything = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(texts, anything, max_size=3)
members = {
    "data": objects | anything,
    "options": st.fixed_dictionaries({"cas": numbers | anything}) | anything,
    "versions": st.lists(numbers, min_size=1, max_size=4) | texts | anything,
    "max_versions": numbers | anything,
    "cas_required": st.booleans() | texts | anything,
    "delete_version_after": st.sampled_from(["0s", "1h30m", "-1s", "1y", 60]) | anything,
    "custom_metadata": st.dictionaries(texts, texts | st.none(), max_size=3) | anything,
    "role_id": texts | anything,
    "secret_id": texts | anything,
    "password": texts | anything,
    "path": st.sampled_from(["team/data/a", "team/metadata/", "sys/mounts"]) | anything,
    "paths": st.lists(st.sampled_from(["team/data/a", "x/y"]) | texts, max_size=3) | anything,
    "ttl": st.sampled_from(["60s", "0s", 60]) | anything,
    "num_uses": numbers,
    "policies": st.lists(texts, max_size=2) | anything,
}
garbage = st.sampled_from(
    ["", "{}", "NaN", '{"data":' * 3000, "[" * 3000, '{"data":{"a":"\\ud800"}}', f'"{CANARY}"']
).map(str.encode) | st.binary(max_size=20).map(lambda raw: raw + CANARY.encode())


@st.composite
def bodies(draw, right, named):
    """A body of which one member is wrong, or two; or none at all. `named`: what the call knows."""
    if draw(st.integers(0, 4)) == 0:
        return draw(garbage)
    names = [each for each in named if each in members] or list(members)
    wrong = draw(st.sets(st.sampled_from(names), min_size=1, max_size=2))
    written = json.dumps((right or {}) | {name: draw(members[name]) for name in wrong})
    broken = st.sampled_from(
        [written] * 5 + [written[: len(written) // 2], written[:-1] + "," + written[1:]]
    )
    return draw(broken).encode()


segments = st.sampled_from(["a", "b", "a/b", "", "a/", "/a", "..", "a/../b", "%2F", "a b", "a\n"])
paths = segments | texts
mounts = st.sampled_from(["none", "sys", "auth", "TEAM", "ü", "*", "team%2Fx"]) | texts
values = numbers | texts.map(quote)
verbs = st.sampled_from(
    ["GET", "PUT", "POST", "PATCH", "DELETE", "LIST", "HEAD", "OPTIONS", "TRACE", "X"]
)
# `{}` is the key that is right.
tokens = st.sampled_from(
    ["", "{}x", "{} {}", "ey{}.e30.x", CANARY, "1ck_" + CANARY, "ü" * 9, CANARY * 999]
)
headers = st.fixed_dictionaries(
    {},
    optional={
        "X-Vault-Namespace": st.sampled_from(["", "/", CANARY]),
        "X-Vault-Wrap-TTL": st.sampled_from(["", "60s", CANARY]),
        "If-Match": st.sampled_from(["*", CANARY]),
        "Accept": st.just(CANARY),
    },
)
kinds = st.sampled_from([MERGE_PATCH, "application/json", "text/plain", "", CANARY])


parts = {
    "verb": verbs,
    "mount": mounts,
    "path": paths,
    "token": tokens,
    "more": headers,
    "kind": kinds,
}


@st.composite
def requests(draw, template, verb, action):
    """The parts of a request to a route."""
    _, body = request_of(template, verb)
    right = {
        "verb": draw(st.sampled_from(["PUT", "POST"])) if verb == "PUT" else verb,
        "mount": "team",
        "path": "a",
        "query": draw(st.sampled_from(["", "version=1", "version=0"])),
        "token": "{}",
        "more": {},
        "kind": MERGE_PATCH if verb == "PATCH" else "application/json",
        "content": json.dumps(body).encode() if body is not None else b"",
    }
    named = list((action.body or {}).get("properties", ()))
    wrong = parts | {
        "query": st.builds("{}={}".format, st.sampled_from([*action.query, "list"]), values),
        "content": bodies(body, named),
    }
    telling = ["content"] * 12 * (action.body is not None) + ["query"] * 12 * bool(action.query)
    chosen = st.lists(st.sampled_from([*wrong, *telling]), min_size=1, max_size=2, unique=True)
    return right | {name: draw(wrong[name]) for name in draw(chosen)}


@pytest.mark.parametrize(("template", "method", "action"), ACTIONS, ids=names(ACTIONS))
@settings(
    max_examples=16,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(drawn=st.data())
def test_whatever_is_sent_is_answered_in_vaults_form_and_logged_nowhere(
    template, method, action, alice, vault, caplog, drawn
):
    sent = drawn.draw(requests(template, method, action))
    caplog.set_level("DEBUG")
    url = template.removeprefix("/").replace("{mount}", quote(sent["mount"], safe="%") or "x")
    for name in ("path", "place", "email", "method"):
        url = url.replace(f"{{{name}}}", quote(sent["path"], safe="/%"))
    token = sent["token"].replace("{}", alice.raw_key)
    named = {"Authorization": f"Bearer {token}"} if len(token) % 2 else {"X-Vault-Token": token}
    if not Secret.objects.filter(deleted_at=None).exists():
        Door(alice.raw_key).put("team/a", {"value": CANARY})

    caplog.clear()
    answer = Door(None)(
        sent["verb"],
        f"{url}?{sent['query']}",
        sent["content"],
        headers=sent["more"] | named,
        content_type=sent["kind"],
    )

    assert answer.status_code < 500
    assert answer["Cache-Control"] == "no-store"
    if answer.content:
        assert answer["Content-Type"] == "application/json"
    if answer.content and answer.status_code >= 400:
        told = answer.json()
        if told.keys() != ENVELOPE:
            assert told.keys() == {"errors"}
            assert all(isinstance(each, str) and each for each in told["errors"])
            assert told["errors"] or answer.status_code == 404
        assert found_in(answer.content, CANARY) == []
        assert found_in(answer.content, alice.raw_key) == []
    logged = "\n".join(f"{record.getMessage()} {record.exc_info}" for record in caplog.records)
    assert found_in(logged.encode(), CANARY) == []
    assert found_in(logged.encode(), alice.raw_key) == []
    assert [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")] == []
