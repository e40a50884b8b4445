"""The CLI of OpenBao, unchanged, against this service and against OpenBao: with the same results.

What may differ is named in `DIFFERENCES` and in docs/vault-clients.md.
"""

import json
import re

import pytest

from tests.e2e.vault_targets import MOUNT, normal

pytestmark = pytest.mark.no_cover

# Left: what differs and is taken for the same. Each is told in docs/vault-clients.md.
DIFFERENCES = (
    # Settings have no versions of their own here.
    (r'(current_metadata_version"?:?) \d+', r"\1 <number>"),
    # A PATCH of nothing has a body here like every 404.
    (r"Code: 404\. (Errors|Raw Message):", "Code: 404."),
    # Which paths a policy must allow is not told.
    (r"\* preflight capability check returned 403.*", "* permission denied"),
)
# Each is run in this order on both, and must exit alike and say the same.
KV = """
kv put -mount=clients cli/db user=admin password=s3cr3t
kv get -mount=clients cli/db
kv get -mount=clients -format=json cli/db
kv get -mount=clients -field=password cli/db
kv get clients/cli/db
kv put clients/cli/db user=admin password=second
kv put -cas=2 clients/cli/db user=admin password=third
kv put -cas=2 clients/cli/db user=admin password=fourth
kv put -cas=0 clients/cli/db user=admin
kv get -version=1 clients/cli/db
kv get -version=99 clients/cli/db
kv get clients/cli/none
kv get -field=nope clients/cli/db
kv patch clients/cli/db port=5432
kv patch -method=rw clients/cli/db host=db.internal
kv patch -method=patch -cas=5 clients/cli/db host=db2.internal
kv patch clients/cli/none port=5432
kv get -format=json clients/cli/db
kv put clients/cli/folder/one x=1
kv list clients/cli
kv list -format=json clients/cli
kv list clients/none
kv list clients/
kv delete clients/cli/db
kv get clients/cli/db
kv get -format=json clients/cli/db
kv undelete -versions=6 clients/cli/db
kv get -field=host clients/cli/db
kv delete -versions=1,2 clients/cli/db
kv get -version=2 clients/cli/db
kv undelete -versions=1,2 clients/cli/db
kv rollback -version=1 clients/cli/db
kv get clients/cli/db
kv destroy -versions=3 clients/cli/db
kv get -version=3 clients/cli/db
kv undelete -versions=3 clients/cli/db
kv rollback -version=3 clients/cli/db
kv metadata get clients/cli/db
kv metadata put -custom-metadata=team=data -custom-metadata=owner=ops clients/cli/db
kv metadata put -max-versions=20 -delete-version-after=1h30m clients/cli/db
kv metadata patch -custom-metadata=team=web clients/cli/db
kv metadata patch -remove-custom-metadata=owner clients/cli/db
kv metadata get -mount=clients cli/db
kv put clients/cli/db user=later
kv metadata get -format=json clients/cli/db
kv metadata put -cas-required=true clients/cli/strict
kv put clients/cli/strict a=1
kv put -cas=0 clients/cli/strict a=1
kv metadata get clients/cli/strict
kv metadata get clients/cli/none
kv metadata patch -custom-metadata=a=b clients/cli/none
kv metadata delete clients/cli/db
kv metadata delete clients/cli/db
kv get clients/cli/db
kv delete clients/cli/none
kv get other/x
kv put -mount=clients cli/json @FILE
kv get -format=json clients/cli/json
"""
OTHER = """
status
token capabilities clients/data/cli/folder/one
token capabilities clients/metadata/cli/folder/one
token capabilities nowhere/else
token lookup -format=json
secrets list
login -method=userpass -no-store -field=token_policies username=EMAIL password=PASSWORD
login -method=userpass -no-store username=EMAIL password=wrong
write -field=token_type auth/approle/login role_id=ROLE secret_id=SECRET
write auth/approle/login role_id=ROLE secret_id=wrong
"""


def run(target, line, folder):
    named = {
        "@FILE": f"@{folder}/data.json",
        "EMAIL": target.email,
        "PASSWORD": target.password,
        "ROLE": target.role_id,
        "SECRET": target.secret_id,
    }
    words = line.split()
    for name, text in named.items():
        words = [word.replace(name, text) for word in words]
    done = target.bao(*words)
    said = [normal(done.stdout, target), normal(done.stderr, target)]
    for differing, same in DIFFERENCES:
        said = [re.sub(differing, same, each) for each in said]
    return done.returncode, *said


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data.json").write_text('{"n": 1.5, "big": 1234567890, "o": {"l": [1]}}')
    return tmp_path


def test_every_kv_command_says_the_same_as_to_openbao(targets, folder):
    differing = {}
    for line in KV.strip().splitlines():
        mine, theirs = (run(target, line, folder) for target in targets)
        if mine != theirs:
            differing[line] = {"here": mine, "openbao": theirs}
    assert differing == {}


def test_status_tokens_logins_and_mounts_read_as_those_of_openbao(targets, folder):
    lines = OTHER.strip().splitlines()
    seen = {line: [run(target, line, folder) for target in targets] for line in lines}
    for line, (mine, theirs) in seen.items():
        assert mine[0] == theirs[0], (line, mine, theirs)
    mine, theirs = seen["token lookup -format=json"]
    assert json.loads(mine[1])["data"].keys() == json.loads(theirs[1])["data"].keys()
    # OpenBao's policy says `list` for every path; only metadata has a list.
    mine, theirs = seen["token capabilities clients/data/cli/folder/one"]
    assert mine[1] == theirs[1].replace("list, ", "")
    mine, theirs = seen["token capabilities clients/metadata/cli/folder/one"]
    assert mine[1] == theirs[1]
    assert [said[1] for said in seen["token capabilities nowhere/else"]] == ["deny", "deny"]
    for said in seen["secrets list"]:
        assert f"{MOUNT}/ kv <accessor>" in said[1]
    assert "Sealed false" in seen["status"][0][1]


def test_login_gives_a_token_that_works_and_can_end_itself(targets):
    for target in targets:
        given = target.bao(
            "write",
            "-field=token",
            "auth/approle/login",
            f"role_id={target.role_id}",
            f"secret_id={target.secret_id}",
        )
        token = given.stdout.strip()
        assert target.bao("kv", "put", "clients/cli/agent", "a=1", token=token).returncode == 0
        assert target.bao("kv", "get", "-field=a", "clients/cli/agent", token=token).stdout == "1"
        assert target.bao("token", "revoke", "-self", token=token).returncode == 0
        assert target.bao("kv", "get", "clients/cli/agent", token=token).returncode == 2


def test_a_path_that_is_no_path_here_is_refused_with_what_is_allowed(targets):
    done = targets[0].bao("kv", "put", "clients/cli/with.dot", "a=1")
    assert done.returncode == 2
    assert "letters, digits, hyphens and underscores" in done.stderr
