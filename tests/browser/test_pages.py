"""The start page and the page of an unknown address, as people see them. Anything that the content security
policy stops is an error on the console, which `browser` does not let pass."""

import pytest

pytestmark = pytest.mark.only_on("sqlite")

WINDOWS = {"wide": (1280, 900), "narrow": (360, 740)}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("window", WINDOWS)
def test_the_pages_are_readable_in_every_window_and_scheme(browser, scheme, window):
    width, height = WINDOWS[window]
    browser.page.set_viewport_size({"width": width, "height": height})
    browser.page.emulate_media(color_scheme=scheme)
    for name, path in (("start", "/"), ("missing", "/api-keys/openai")):
        browser.open(path)
        browser.look(f"page-{name}-{scheme}-{window}")
        # Nothing has to be scrolled sideways, and the stylesheet was let in.
        assert browser.page.evaluate("document.documentElement.scrollWidth") <= width
        ground = browser.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, ground[4:-1].split(","))) < 200) is (scheme == "dark"), ground
    # The browser itself says on its console that an address was not found.
    assert [each for each in browser.troubles if "404" not in each] == []
    browser.troubles.clear()


def test_from_the_start_page_to_the_documentation_and_the_admin(browser):
    for link, then in (("API documentation", ".opblock"), ("Admin", "#login-form")):
        browser.open("/")
        browser.click(link, within="main")
        browser.page.wait_for_selector(then)


def test_the_page_of_an_unknown_address_leads_back(browser):
    browser.open("/nope")
    browser.troubles.clear()  # that it was not found
    browser.click("start page", within="main")
    assert browser.page.title() == "Vaultsite"
