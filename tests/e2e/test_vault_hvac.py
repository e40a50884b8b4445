"""hvac, unchanged, against this service and against OpenBao: with the same results."""

import hvac
import pytest
from hvac import exceptions

from tests.e2e.vault_targets import MOUNT

pytestmark = [
    pytest.mark.no_cover,
    # hvac's own `patch` leaves the parameter out that it warns about.
    pytest.mark.filterwarnings("ignore:The raise_on_deleted_version parameter"),
]


def outcome(act):
    """What a call gives, or the class of what it raises."""
    try:
        answer = act()
    except exceptions.VaultError as error:
        return type(error).__name__
    return getattr(answer, "status_code", answer)


def _data(answer):
    return answer["data"]["data"] if isinstance(answer, dict) else answer


def _keys(answer):
    return sorted(answer["data"]["keys"]) if isinstance(answer, dict) else answer


def _version(answer):
    return answer["data"]["version"] if isinstance(answer, dict) else answer


def everything_of_kv2(target):
    """Each call of `hvac.Client.secrets.kv.v2`, with what it gave, as far as it is the same everywhere."""
    client = target.hvac()
    kv = client.secrets.kv.v2
    at = {"path": "hvac/db", "mount_point": MOUNT}
    seen = []

    def note(name, act, show=lambda answer: answer):
        seen.append((name, show(outcome(act))))

    note("absent", lambda: kv.read_secret_version(**at, raise_on_deleted_version=True))
    note(
        "create",
        lambda: kv.create_or_update_secret(**at, secret={"a": "1", "n": 2}, cas=0),
        _version,
    )
    note("create again", lambda: kv.create_or_update_secret(**at, secret={"a": "1"}, cas=0))
    note(
        "update",
        lambda: kv.create_or_update_secret(**at, secret={"a": "2", "d": {"e": [1, None]}}),
        _version,
    )
    note("read", lambda: kv.read_secret_version(**at, raise_on_deleted_version=True), _data)
    note("read_secret", lambda: kv.read_secret(**at, raise_on_deleted_version=True), _data)
    note(
        "read old",
        lambda: kv.read_secret_version(**at, version=1, raise_on_deleted_version=True),
        _data,
    )
    note(
        "read none", lambda: kv.read_secret_version(**at, version=9, raise_on_deleted_version=True)
    )
    note("patch", lambda: kv.patch(**at, secret={"f": "new"}), _version)
    note("patched", lambda: kv.read_secret_version(**at, raise_on_deleted_version=True), _data)
    note("patch nothing", lambda: kv.patch(path="hvac/none", mount_point=MOUNT, secret={"f": "x"}))
    note("keys", lambda: kv.list_secrets(path="hvac", mount_point=MOUNT), _keys)
    note("list", lambda: client.list(f"{MOUNT}/metadata/hvac"), _keys)
    note("keys of nothing", lambda: kv.list_secrets(path="hvac/db", mount_point=MOUNT))
    note("delete", lambda: kv.delete_latest_version_of_secret(**at))
    note("deleted", lambda: kv.read_secret_version(**at, raise_on_deleted_version=True))
    note(
        "deleted, seen", lambda: kv.read_secret_version(**at, raise_on_deleted_version=False), _data
    )
    note("undelete", lambda: kv.undelete_secret_versions(**at, versions=[3]))
    note("undeleted", lambda: kv.read_secret_version(**at, raise_on_deleted_version=True), _data)
    note("delete some", lambda: kv.delete_secret_versions(**at, versions=[1, 2]))
    note("gone", lambda: kv.read_secret_version(**at, version=2, raise_on_deleted_version=True))
    note("destroy", lambda: kv.destroy_secret_versions(**at, versions=[2]))
    note("metadata", lambda: kv.read_secret_metadata(**at), _told)
    note(
        "settings",
        lambda: kv.update_metadata(
            **at,
            max_versions=7,
            cas_required=True,
            delete_version_after="30m",
            custom_metadata={"team": "data"},
        ),
    )
    note("write without cas", lambda: kv.create_or_update_secret(**at, secret={"a": "3"}))
    note("settings, seen", lambda: kv.read_secret_metadata(**at), _told)
    note("configuration", lambda: sorted(kv.read_configuration(mount_point=MOUNT)["data"]))
    note("purge", lambda: kv.delete_metadata_and_all_versions(**at))
    note("purged", lambda: kv.read_secret_metadata(**at))
    return seen


def _told(answer):
    if not isinstance(answer, dict):
        return answer
    told = answer["data"]
    versions = {
        number: (bool(each["deletion_time"]), each["destroyed"])
        for number, each in told["versions"].items()
    }
    names = ("cas_required", "current_version", "custom_metadata", "delete_version_after")
    return {name: told[name] for name in (*names, "max_versions", "oldest_version")}, versions


def test_every_call_of_kv2_gives_what_openbao_gives(targets):
    mine, theirs = (everything_of_kv2(target) for target in targets)
    assert len(mine) == 29
    assert mine == theirs


def signing_in(target):
    """Each way to sign in, and what a token can do with itself."""
    client = hvac.Client(url=target.address, timeout=30)
    seen = [("nobody", client.is_authenticated())]
    login = client.auth.approle.login(role_id=target.role_id, secret_id=target.secret_id)
    seen.append(("approle", client.is_authenticated(), login["auth"]["policies"][0]))
    seen.append(("lookup", sorted(client.auth.token.lookup_self()["data"])[:3]))
    seen.append(
        ("wrong", outcome(lambda: client.auth.approle.login(role_id=target.role_id, secret_id="x")))
    )
    child = client.auth.token.create(ttl="2m")["auth"]
    seen.append(
        (
            "child",
            child["lease_duration"],
            hvac.Client(url=target.address, token=child["client_token"]).is_authenticated(),
        )
    )
    client.auth.userpass.login(username=target.email, password=target.password)
    seen.append(("userpass", client.is_authenticated()))
    seen.append(
        ("wrong", outcome(lambda: client.auth.userpass.login(username=target.email, password="x")))
    )
    client.auth.userpass.login(username=target.email, password=target.password)
    client.auth.token.revoke_self()
    seen.append(("revoked", client.is_authenticated()))
    wrong = hvac.Client(url=target.address, token="wrong")
    seen.append(
        (
            "forged",
            outcome(
                lambda: wrong.secrets.kv.v2.read_secret_version(
                    path="x", mount_point=MOUNT, raise_on_deleted_version=True
                )
            ),
        )
    )
    return seen


def test_every_way_to_sign_in_gives_what_openbao_gives(targets):
    mine, theirs = (signing_in(target) for target in targets)
    assert mine == theirs


def test_the_service_tells_of_itself(targets):
    for target in targets:
        client = target.hvac()
        assert client.sys.is_initialized()
        assert not client.sys.is_sealed()
        assert client.sys.read_health_status(method="GET")["standby"] is False
        assert f"{MOUNT}/" in client.sys.list_mounted_secrets_engines()["data"]
        assert client.sys.read_leader_status()["ha_enabled"] in (False, True)
        told = client.sys.get_capabilities([f"{MOUNT}/data/x"])["data"]
        assert {"create", "read", "update", "delete"} <= set(told[f"{MOUNT}/data/x"])
