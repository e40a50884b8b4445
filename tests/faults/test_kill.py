"""A few rounds of `python -m tests.faults.kill`, which says what it does."""

import os
import random

import pytest

from tests.faults.kill import survive
from tests.faults.postgresql import own_postgresql

pytestmark = pytest.mark.no_cover


def test_what_was_acknowledged_outlives_kills_of_server_and_database(tmp_path):
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # shown when it fails
    if "TEST_DATABASE_URL" in os.environ:
        with own_postgresql() as postgresql:
            survived = survive(tmp_path / "var", postgresql, rounds=2, seed=seed)
    else:
        survived = survive(tmp_path / "var", None, rounds=1, seed=seed)
    assert survived.rounds >= 1
    # It was not by doing nothing.
    for what in ("writes", "batches", "reads", "unanswered", "rotations", "seals"):
        assert getattr(survived, what) > 0, survived
