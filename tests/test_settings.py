import json
import os
import subprocess
import sys

import pytest

from tests.e2e.server import ROOT

CLUSTER = "postgres://app@one:6432,two:6433/vaultsite?target_session_attrs=read-write"


def database(**environment):
    """DATABASES["default"] of the production settings under these variables."""
    script = "import json; from vaultsite.settings import DATABASES as d; print(json.dumps(d['default']))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "SECRET_KEY": "x", "VAULTSITE_HOME": "/nowhere"}
        | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.only_on("sqlite")
def test_every_node_of_a_cluster_can_be_named_and_the_leader_is_looked_for():
    config = database(DATABASE_URL=CLUSTER)
    assert (config["HOST"], config["PORT"]) == ("one,two", "6432,6433")
    assert config["OPTIONS"]["target_session_attrs"] == "read-write"


@pytest.mark.only_on("sqlite")
def test_behind_a_pooler_nothing_is_left_on_a_connection():
    config = database(DATABASE_URL=CLUSTER, DATABASE_POOLER="on")
    assert config["DISABLE_SERVER_SIDE_CURSORS"] is True
    assert config["OPTIONS"]["prepare_threshold"] is None
    assert config["OPTIONS"]["target_session_attrs"] == "read-write"
