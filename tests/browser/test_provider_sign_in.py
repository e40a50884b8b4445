"""A person signs in to the admin by a real OpenID provider, in Chromium, and is gone when switched off."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import RESULTS
from tests.e2e.server import Server, manage, serve
from tests.oidc import toolkit

pytestmark = pytest.mark.only_on("sqlite")  # the database is not what is tried here


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, toolkit.Toolkit]]:
    provider = toolkit.new_toolkit(tmp_path_factory.mktemp("provider"))
    home: Path = tmp_path_factory.mktemp("home") / "var"
    variables = provider.variables() | {"OIDC_PROVIDERS": "corp", "PASSWORD_SIGN_IN": "off"}
    with serve(home, AUDIT_SEAL_EVERY="0", **variables) as server:
        callback = f"{server.base_url}/accounts/oidc/corp/callback/"
        with provider.running(callback):
            yield server, provider


def test_signing_in_to_the_admin_by_a_provider(
    both: tuple[Server, toolkit.Toolkit], chromium: Any
) -> None:
    server, provider = both
    manage(
        "create_user",
        "dora@example.com",
        "--superuser",
        "--no-password",
        environment=server.environment,
    )
    provider.people(dora={"email": "dora@example.com", "email_verified": True})
    # Chromium need not know the private authority; our server does.
    context = chromium.new_context(ignore_https_errors=True)
    context.set_default_timeout(8_000)
    page = context.new_page()
    troubles: list[str] = []
    page.on(
        "console",
        lambda said: (
            said.type == "error"
            and said.location["url"].startswith(server.base_url)
            and troubles.append(said.text)
        ),
    )
    page.goto(f"{server.base_url}/admin/")
    page.get_by_role("button", name="Sign in with Corporate login").click()
    page.wait_for_url(f"https://127.0.0.1:{provider.port}/**")
    page.fill("#id_username", "dora")
    page.fill("#id_password", toolkit.PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{server.base_url}/admin/")
    RESULTS.mkdir(exist_ok=True)
    page.screenshot(path=RESULTS / "provider-sign-in.png")
    cookies = {cookie["name"]: cookie for cookie in context.cookies(server.base_url)}
    assert cookies["sessionid"]["sameSite"] == "Strict"
    assert not [name for name in cookies if "oidc-" in name]
    page.reload()
    assert page.url == f"{server.base_url}/admin/"

    manage("deactivate_user", "dora@example.com", environment=server.environment)
    page.reload()
    assert "/accounts/login/" in page.url
    # The provider lets her in still, and we do not.
    page.get_by_role("button", name="Sign in with Corporate login").click()
    page.get_by_text("Your account here is switched off").wait_for()
    page.screenshot(path=RESULTS / "provider-refused.png")
    assert ["403" in text for text in troubles] == [True]
    context.close()
