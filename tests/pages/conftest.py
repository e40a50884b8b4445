import pytest
from django.test import Client

from vaultsite.accounts.models import User


@pytest.fixture
def root(db):
    """A superuser, signed in."""
    client = Client()
    client.force_login(User.objects.create_superuser("root@example.com", "x"))
    return client
