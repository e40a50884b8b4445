"""A bounded run of `python -m tests.fuzz.api`, which says what it does."""

import os

import pytest

from tests.e2e.server import new_database, serve
from tests.fuzz.api import UNLIMITED, fuzz

pytestmark = [pytest.mark.no_cover, pytest.mark.only_on("postgresql")]


def test_no_request_gets_a_5xx_or_an_answer_that_is_not_documented(tmp_path):
    with (
        new_database(os.environ["TEST_DATABASE_URL"]) as database,
        serve(tmp_path / "var", database, **UNLIMITED) as server,
    ):
        findings = fuzz(server, cases=3, seed=1)  # CI is no place for chance
    assert findings.passed, findings.output[-20_000:]
    # It was not by doing nothing.
    assert findings.cases > 2000
    assert findings.chained > 100
    assert findings.links > 10
