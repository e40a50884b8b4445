"""Debian's Chromium in front of a real server. Pictures of what it saw are kept in `test-results/`."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.browser.seed import CANARY, PASSWORD
from tests.e2e.server import ROOT, Server, serve
from tests.spellings import spellings

RESULTS = ROOT / "test-results"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


@dataclass
class Browser:
    """One window. Whatever goes wrong on a page, and every request to elsewhere, is remembered."""

    page: Any
    server: Server
    told: dict[str, Any]
    seen: int = 0
    troubles: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        self.page.goto(self.server.base_url + path)

    def click(self, text: str, *, within: str = "#main") -> None:
        """Click a link or button by what it says."""
        target = self.page.locator(within).locator("a, button", has_text=text).first
        target.click()
        self.page.wait_for_load_state()

    def text(self) -> str:
        text: str = self.page.locator("#main").inner_text()
        return text

    def rows(self) -> list[str]:
        """The rows of a list, as they read."""
        rows = self.page.locator("#result_list tbody tr")
        return [rows.nth(n).inner_text() for n in range(rows.count())]

    def sign_in(self, email: str, code: str = "") -> None:
        self.open("/admin/login/")
        self.page.fill("#id_login", email)
        self.page.fill("#id_password", PASSWORD)
        self.page.click("#login-form button")
        self.page.wait_for_load_state()
        if code:
            self.page.fill("#id_code", code)
            self.page.click("#code-form button")
            self.page.wait_for_load_state()

    def look(self, name: str) -> None:
        """Keep a picture, and see to it that no value is in what the page is made of."""
        self.page.screenshot(path=RESULTS / f"{name}.png")
        source = self.page.content().encode()
        for spelling, needle in spellings(CANARY).items():
            assert needle not in source, f"{self.page.url} holds the value ({spelling})"
        self.seen += 1


@pytest.fixture(scope="session")
def admin_server(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Server, dict[str, Any]]]:
    if CHROMIUM is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    home: Path = tmp_path_factory.mktemp("admin") / "var"
    with serve(home, ADMIN_OTP="superusers", AUDIT_SEAL_EVERY="0") as server:
        done = subprocess.run(
            [sys.executable, "-m", "tests.browser.seed"],
            cwd=ROOT,
            env=server.environment | {"ALLOWED_HOSTS": "testserver"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        yield server, json.loads(done.stdout)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Of one module: while Playwright runs, its thread is not Django's to use."""
    if CHROMIUM is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=CHROMIUM, args=_SWITCHES, headless=True
        )
        yield started
        started.close()


@pytest.fixture
def browser(admin_server: tuple[Server, dict[str, Any]], chromium: Any) -> Iterator[Browser]:
    RESULTS.mkdir(exist_ok=True)
    server, told = admin_server
    context = chromium.new_context(viewport={"width": 1600, "height": 1000})
    context.set_default_timeout(8_000)
    page = context.new_page()
    one = Browser(page, server, told)
    page.on("pageerror", lambda error: one.troubles.append(str(error)))
    page.on("console", lambda said: said.type == "error" and one.troubles.append(said.text))
    page.on(
        "request",
        lambda request: (
            request.url.startswith((one.server.base_url, "data:"))
            or one.troubles.append(f"asked {request.url}")
        ),
    )
    yield one
    context.close()
    assert one.troubles == []
