"""People in front of the admin: they sign in, look around, find out, and act."""

from dataclasses import replace

import pytest

from tests.accounts.sign_in import code_of

pytestmark = pytest.mark.only_on("sqlite")


@pytest.fixture
def olga(browser):
    """An operator, signed in."""
    browser.sign_in("olga@example.com")
    return browser


def test_a_superuser_sets_up_a_second_factor_and_is_asked_for_it(browser):
    browser.sign_in("root@example.com")
    browser.open("/admin/secrets_app/secret/")
    assert browser.page.url.endswith("/accounts/2fa/")
    browser.look("second-factor")
    browser.click("Set up an app", within="main")
    browser.look("second-factor-app")
    secret = browser.page.locator("code").first.inner_text()
    assert browser.page.locator(".qr svg path").bounding_box()["width"] > 100
    browser.page.fill("#id_code", code_of(secret))
    browser.click("Confirm", within="main")
    assert browser.page.locator(".codes li").count() == 10
    browser.look("recovery-codes")
    browser.open("/accounts/2fa/app/")
    assert secret not in browser.page.content()
    browser.open("/admin/")
    assert "Overview" in browser.page.title()
    browser.look("overview-of-root")
    browser.page.context.clear_cookies()

    browser.sign_in("root@example.com")
    browser.look("sign-in-second-step")
    browser.open("/admin/secrets_app/secret/")
    assert "/accounts/2fa/authenticate/" in browser.page.url
    browser.page.context.clear_cookies()
    browser.sign_in("root@example.com", code_of(secret, steps=1))
    assert "Overview" in browser.page.title()


def test_a_person_adds_a_passkey_and_signs_in_with_nothing_else(browser):
    """Chromium's virtual authenticator on http://localhost, under the pages' content policy."""
    browser.server = replace(
        browser.server, base_url=browser.server.base_url.replace("127.0.0.1", "localhost")
    )
    session = browser.page.context.new_cdp_session(browser.page)
    session.send("WebAuthn.enable")
    device = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": device})
    browser.sign_in("olga@example.com")
    browser.open("/accounts/2fa/passkeys/add/")
    browser.page.fill("#id_name", "Laptop")
    browser.page.click("main form button")
    browser.page.wait_for_selector(".codes li")
    browser.open("/accounts/2fa/")
    assert "Laptop" in browser.page.content()
    browser.look("passkeys")

    browser.page.context.clear_cookies()
    browser.open("/accounts/login/")
    browser.page.click("text=Sign in with a passkey")
    browser.page.wait_for_url("**/admin/")
    assert "Overview" in browser.page.title()

    browser.page.context.clear_cookies()
    browser.sign_in("olga@example.com")
    browser.page.click("text=Use a passkey")
    browser.page.wait_for_url("**/admin/")
    # The others of this module have no such device.
    browser.open("/accounts/2fa/")
    browser.click("Remove", within="main")
    browser.click("Remove", within="main")
    assert "None yet" in browser.page.content()


def test_every_list_and_a_row_of_each_shows_no_value(olga):
    links = olga.page.locator("#nav-sidebar a[href^='/admin/']")
    paths = [links.nth(n).get_attribute("href") for n in range(links.count())]
    lists = sorted({path for path in paths if path.count("/") == 4})
    assert len(lists) >= 14
    for path in lists:
        olga.open(path)
        name = path.split("/")[3]
        olga.look(f"list-{name}")
        row = olga.page.locator("#result_list tbody th a").first
        if row.count():
            row.click()
            olga.page.wait_for_load_state()
            olga.look(f"row-{name}")
    assert olga.seen >= 24


def test_which_secrets_expire_this_week(olga):
    olga.look("overview")
    olga.click("Expire within 7 days")
    olga.look("expire-this-week")
    (row,) = olga.rows()
    assert "tls/www" in row


def test_who_read_a_secret_yesterday(olga):
    olga.click("Secrets", within="#nav-sidebar")
    row = olga.page.locator("#result_list tr", has_text="api-keys/openai")
    row.locator("a", has_text="events").click()
    olga.page.wait_for_load_state()
    for choice in ("Yesterday", "Values read"):
        olga.click(choice)
    olga.look("who-read-yesterday")
    assert len(olga.rows()) == 3
    assert all("bob@example.com" in row for row in olga.rows())


def test_which_keys_are_older_than_90_days(olga):
    panel = olga.page.locator("section", has_text="Age of keys in use")
    for n, (expected, not_expected) in enumerate(
        [({"payments"}, {"web"}), ({"alice", "bob"}, {"carol"})]
    ):
        olga.open("/admin/")
        panel.locator("a", has_text="older than 90 days").nth(n).click()
        olga.page.wait_for_load_state()
        olga.look(f"old-keys-{n}")
        assert len(olga.rows()) == len(expected)
        for name in expected | not_expected:
            assert any(name in row for row in olga.rows()) is (name in expected)


def test_a_chart_leads_to_the_events_it_counts(olga):
    denials = olga.page.locator("section.denials")
    total = int(denials.locator(".total").inner_text())
    assert total >= 3
    denials.locator("h2 a").click()
    olga.page.wait_for_load_state()
    olga.look("denials")
    assert len(olga.rows()) == total
    assert all("carol@example.com" in row for row in olga.rows())


def test_an_action_asks_and_then_takes_effect(olga):
    url = f"/v1/vaults/{olga.told['payments']}/secrets/legacy/ftp"
    assert olga.server.request("GET", url, token=olga.told["raw_key"])[0] == 200
    olga.click("Versions", within="#nav-sidebar")
    row = olga.page.locator("#result_list tr", has_text="legacy/ftp v1")
    row.locator("input.action-select").check()
    olga.page.select_option("select[name=action]", "disable")
    olga.page.locator("button[name=index]").click()
    olga.page.wait_for_load_state()
    olga.look("action-asks")
    olga.click("Disable these versions")
    olga.look("action-done")
    assert "disabled." in olga.text()
    assert olga.server.request("GET", url, token=olga.told["raw_key"])[0] == 410
    olga.open("/admin/secrets_app/auditevent/?q=legacy/ftp")
    assert any("olga@example.com" in row and "secret.disable" in row for row in olga.rows())


def test_the_documentation_of_the_api_works_under_the_same_rules(browser):
    browser.open("/docs")
    browser.page.wait_for_selector(".opblock")
    browser.page.screenshot(path="test-results/api-docs.png")
