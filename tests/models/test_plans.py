"""How many secrets a vault has is of no matter to who asks for some of them."""

from uuid import uuid4

import pytest
from django.db import connection
from django.db.models import F
from django.utils import timezone

from secrets_app.models.request_state import _BY_KEY, _BY_TOKEN, Fetch
from secrets_app.models.secret import id_at, versions_with_rows
from secrets_app.models.versions_to_read import _AT_PATHS
from secrets_app.services.audit.witness import _writes
from secrets_app.services.secrets.listing import current_of
from secrets_app.sql.compiled import Slot, fill, this_database

pytestmark = [pytest.mark.django_db]
only_on_sqlite = pytest.mark.only_on("sqlite")


def plan_of(prepared, **values):
    compiled = prepared._compile(this_database())
    with connection.cursor() as cursor:
        parameters = fill(compiled.parameters, values, this_database())
        cursor.execute(f"EXPLAIN QUERY PLAN {compiled.sql}", parameters)
        return " ".join(row[3] for row in cursor.fetchall())


@only_on_sqlite
def test_the_version_to_read_is_found_by_its_whole_key():
    values = {
        "principal": uuid4(),
        "key": uuid4(),
        "jti": "x",
        "parent": None,
        "session": None,
        "vault": uuid4(),
        "path": "a",
    }
    plan = plan_of(_BY_TOKEN[Fetch.CURRENT, False], **values)
    assert "(vault_id=? AND secret_id=? AND number=?)" in plan


@only_on_sqlite
def test_by_the_name_of_a_vault_it_is_found_by_the_same_keys():
    values = {
        "principal": uuid4(),
        "key": uuid4(),
        "jti": "x",
        "parent": None,
        "session": None,
        "name": "team",
        "now": timezone.now(),
        "path": "a",
    }
    plan = plan_of(_BY_TOKEN[Fetch.CURRENT, True], **values)
    assert "(vault_id=? AND secret_id=? AND number=?)" in plan
    assert "(vault_id=? AND path=?)" in plan
    # The vaults that are asked for their name are the caller's, and not all there are.
    assert "SCAN V0" not in plan
    assert "MULTI-INDEX OR" in plan


@only_on_sqlite
def test_versions_of_many_paths_are_found_by_their_secrets():
    plan = plan_of(_AT_PATHS, vault=uuid4(), paths=["a", "b"])
    assert "(vault_id=? AND secret_id=?" in plan
    assert "(vault_id=? AND path=?)" in plan


@only_on_sqlite
def test_a_version_of_a_path_is_found_by_its_secret():
    vault = uuid4()
    versions = versions_with_rows(vault).filter(
        secret=id_at(vault, "a"), number=F("secret__current_version")
    )
    assert "(vault_id=? AND secret_id=?" in versions.explain()


@only_on_sqlite
def test_a_page_of_a_list_is_found_by_its_ids():
    assert "(vault_id=? AND secret_id=?" in current_of(uuid4(), [uuid4(), uuid4()]).explain()


@only_on_sqlite
def test_the_writes_of_the_log_are_walked_through_by_an_index():
    vault = uuid4()
    for vault_id, index in ((None, "auditevent_action"), (vault, "auditevent_vault")):
        page = _writes(vault_id).filter(action="secret.write", pk__gt=uuid4()).order_by("pk")
        assert f"INDEX {index}" in page[:1000].explain()
        assert "TEMP B-TREE" not in page[:1000].explain()


@pytest.mark.parametrize("query", [*_BY_TOKEN.values(), *_BY_KEY.values()])
def test_what_is_the_same_each_time_is_written_into_the_statement(query):
    """SQLite plans a statement anew each time when a state comes as a parameter, since a partial index may
    fit it or not: a read took 70 % longer by that."""
    parameters = query._compile(this_database()).parameters
    assert [each for each in parameters if not isinstance(each, (Slot, bool))] == []
