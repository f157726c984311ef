"""A real browser, and a dashboard that is really served, for tests and for the pictures of the documentation."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[2]
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDE, NARROW = (1280, 800), (390, 844)
"""Width and height, in CSS pixels, of a laptop's window and of a telephone."""
PAGES = {
    "overview": "Overview",
    "data_quality": "Data quality",
    "drift": "Drift",
    "edge_cases": "Edge cases",
    "training": "Training",
    "word_scores": "Word scores",
    "runs": "Runs",
}
"""Path of each page → its title."""
_FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
          "--disable-component-update", "--disable-sync", "--force-color-profile=srgb")  # fmt: skip
_PATIENCE = 90.0
"""Seconds for a server to begin, and for a page to be done: models are loaded, and machines are slow."""
_PROBED = ("/_stcore/health", "/_stcore/host-config")
"""What Streamlit asks for below a page's address first, before it finds the server's root: answered by 404."""


def chromium() -> str | None:
    """The browser's program; None where there is none."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


@contextmanager
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=list(_FLAGS))
        try:
            yield started
        finally:
            started.close()


@contextmanager
def dashboard(project: Path, *arguments: str) -> Iterator[str]:
    """`shopmon dashboard` of a project, as people start it; its address, once it answers. It is ended afterwards."""
    port = _free_port()
    command = [sys.executable, "-m", "shopmon", "dashboard", "--project", str(project), "--port", str(port)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [*command, "--no-browser", *arguments],
        cwd=project.parent,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as server:
        try:
            _wait_for(f"http://127.0.0.1:{port}/_stcore/health", server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        if server.poll() is not None:
            raise AssertionError(f"the dashboard ended: {server.stdout.read().decode() if server.stdout else ''}")
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"{url} did not answer within {_PATIENCE:g} seconds")


@dataclass
class Visit:
    """A person in front of the pages, what the browser's console said, and where the pages turned to."""

    page: Page
    url: str
    console: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    """Addresses asked for that are not the server's own."""

    @classmethod
    def begin(cls, browser: Browser, url: str, size: tuple[int, int] = WIDE, *, dark: bool = False) -> Visit:
        """Open a window of a size."""
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme="dark" if dark else "light"
        )
        visit = cls(context.new_page(), url)
        visit.page.set_default_timeout(_PATIENCE / 2 * 1_000)
        visit.page.on("console", visit._heard)
        visit.page.on("pageerror", lambda error: visit.console.append(f"page error: {error}"))
        visit.page.on("request", visit._asked)
        visit.page.on("dialog", visit._opened)
        return visit

    def _heard(self, said: Any) -> None:
        probed = "404" in said.text and said.location.get("url", "").endswith(_PROBED)
        if said.type == "error" and not probed:
            self.console.append(f"{said.text} {said.location.get('url', '')}")

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.url, self.url.replace("http", "ws", 1), "data:", "blob:")):
            self.elsewhere.append(request.url)

    def _opened(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def open(self, path: str, query: str = "") -> None:
        """Go to a page by its address, and wait until it is done."""
        self.page.goto(f"{self.url}/{'' if path == 'overview' else path}?{query}")
        self._arrive(path)

    def click_to(self, path: str) -> None:
        """Go to a page by the list beside it."""
        self.page.get_by_test_id("stSidebarNav").get_by_role("link", name=PAGES[path], exact=True).click()
        self._arrive(path)

    def _arrive(self, path: str) -> None:
        self.page.get_by_role("heading", name=PAGES[path], exact=True).first.wait_for()
        self.done()

    def done(self) -> None:
        """Wait until the script has run and its charts are drawn."""
        self.page.wait_for_timeout(300)  # what was clicked on has to reach the server first
        self.page.wait_for_function(
            "() => { const app = document.querySelector('[data-testid=\"stApp\"]');"
            " return app && app.getAttribute('data-test-script-state') === 'notRunning'"
            " && !document.querySelector('[data-testid=\"stSkeleton\"]'); }"
        )
        self.page.wait_for_timeout(500)  # charts are drawn after the script has ended

    def text(self) -> str:
        """What the page says."""
        return str(self.page.locator('[data-testid="stMain"]').inner_text())

    def sticks_out(self) -> int:
        """Pixels by which the page is wider than its window."""
        script = (
            "() => Math.max(...[...document.querySelectorAll('[data-testid=\"stMain\"]')]"
            ".map(e => e.scrollWidth - e.clientWidth))"
        )
        return int(self.page.evaluate(script))

    def picture(self, file: Path, *, whole: bool = False) -> None:
        """Save what is seen; `whole` is the page down to its end."""
        file.parent.mkdir(parents=True, exist_ok=True)
        size = self.page.viewport_size or {"width": WIDE[0], "height": WIDE[1]}
        if whole:
            script = "() => document.querySelector('[data-testid=\"stMain\"]').scrollHeight"
            height = min(int(self.page.evaluate(script)) + 20, 9_000)
            self.page.set_viewport_size({"width": size["width"], "height": height})
            self.page.wait_for_timeout(1_200)
        self.page.screenshot(path=str(file))
        if whole:
            self.page.set_viewport_size(size)
