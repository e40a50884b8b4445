import pytest
from django.core.cache import cache
from django.test import Client

from tests.every_action import operator_client
from vaultsite.accounts.models import User


@pytest.fixture
def root(db):
    """A superuser, signed in."""
    client = Client()
    client.force_login(User.objects.create_superuser("root@example.com", "x"))
    return client


@pytest.fixture
def operator(db):
    return operator_client("operator")


@pytest.fixture
def auditor(db):
    return operator_client("auditor")


@pytest.fixture(autouse=True)
def _nothing_kept():
    """Counts of hours that are over are kept in the cache, and each test has a log of its own."""
    cache.clear()
