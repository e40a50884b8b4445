import os

from tests.e2e.drill import Drill


def test_a_backup_taken_while_clients_write_restores_elsewhere(tmp_path):
    Drill(tmp_path, os.environ.get("TEST_DATABASE_URL")).run()
