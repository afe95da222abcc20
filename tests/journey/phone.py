"""A person with a phone: the reference page in headless Chromium, driven the way people do, and looked at by axe.

Collects what the browser complains about, so that a test can say that there was nothing.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

INSTALL = "Chromium is missing, which looks at the pages: run `apt-get install chromium` (as root)."
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
SECONDS = 60
_PATIENCE = SECONDS * 1000


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a browser. Without one the test is skipped; as root, who could install it (as in CI), it fails instead."""
    path = shutil.which("chromium")
    if path is None:
        (pytest.fail if os.geteuid() == 0 else pytest.skip)(INSTALL)
    expect.set_options(timeout=_PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


class Phone:
    """One browser tab, 390 pixels wide unless said otherwise, whose own language is German."""

    def __init__(self, browser: Browser, origin: str, *, width: int = 390, motion: bool = False) -> None:
        self.origin = origin
        self.complaints: list[str] = []
        self._context = browser.new_context(
            viewport={"width": width, "height": 844},
            locale="de-CH",
            reduced_motion="no-preference" if motion else "reduce",
            accept_downloads=True,
        )
        self._context.set_default_timeout(_PATIENCE)
        self.page: Page = self._context.new_page()
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda message: self._listen(message.text))

    def open(self, address: str = "/") -> None:
        """Go to an address of the page by the address bar."""
        self.page.goto(self.origin + address)
        self.page.locator("main:not([aria-busy]) h1").wait_for()

    def speak(self, language: str) -> None:
        """Switch the language and wait until the view has it."""
        self.page.locator(f"[data-language={language}]").click()
        self.page.locator(f"html[lang={language}] [data-language={language}][aria-current]").wait_for()
        self.page.locator("main:not([aria-busy])").wait_for()

    def begin(self, service: str, language: str, person: str = "Lea Muster") -> None:
        """Choose a service, sign in for it and wait for its form; the views on the way are checked."""
        self.open()
        self.speak(language)
        self.check()
        self.page.locator(f"main a[href='/?service={service}']").click()
        self.page.locator(".facts-list").wait_for()
        self.check()
        self.page.locator("main button.action").click()
        self.sign_in(person)
        self.page.locator(f"form[data-service='{service}']").wait_for()

    def sign_in(self, person: str = "Lea Muster") -> None:
        """Sign in at the provider's page with the level it proposes."""
        self.page.locator("form[action='/authorize']").wait_for()
        self.page.get_by_label(person).first.check()
        self.page.locator("button[value=login]").click()

    def field(self, pointer: str) -> Locator:
        """The inputs of a field by its JSON Pointer."""
        return self.page.locator(f"[data-pointer='{pointer}']").locator("input, textarea")

    def pick(self, pointer: str, value: str) -> None:
        """Choose one of several answers."""
        self.page.locator(f"[data-pointer='{pointer}'] input[value='{value}']").check()

    def submit(self) -> str:
        """Hand in the form and return the dossier's id."""
        self.page.locator("main button[type=submit]").click()
        return self.dossier()

    def dossier(self) -> str:
        """The id of the dossier that is shown."""
        shown = self.page.locator("[data-dossier]")
        shown.wait_for()
        return str(shown.get_attribute("data-dossier"))

    def await_status(self, code: str) -> None:
        """Wait until the page shows this status, without touching anything."""
        self.page.locator(f".status[data-code={code}]").wait_for()

    def next(self, panel: str) -> Locator:
        """The panel of the next action."""
        return self.page.locator(f"[data-panel={panel}]")

    def save(self, button: Locator) -> bytes:
        """Click and return the file that is downloaded."""
        with self.page.expect_download() as download:
            button.click()
        return Path(download.value.path()).read_bytes()

    def go_and_pay(self, *, card: str | None = None) -> None:
        """Go to the payment provider's page and pay by this card, or by TWINT."""
        self.next("payment").locator("a.action").click()
        if card:
            self.page.locator("#card-number").fill(card)
        self.page.locator(f"button[value={'card' if card else 'twint'}]").click()

    def check(self) -> None:
        """Raise AssertionError for a violation in light or dark, sideways scrolling or a text that is missing."""
        for scheme in ("light", "dark"):
            self.page.emulate_media(color_scheme=scheme)
            violations = Axe().run(self.page, options=RULES).response["violations"]
            assert [(found["id"], found["nodes"][0]["html"]) for found in violations] == [], scheme
        width = self.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert width[0] <= width[1]
        assert "undefined" not in self.page.locator("body").inner_text()

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Speak with the API as the same person, past the page's own code."""
        return self.page.evaluate(_ASK, [path, body])

    def close(self) -> None:
        """Close the tab; AssertionError if the browser complained (errors, content security policy)."""
        self._context.close()
        assert self.complaints == []

    def _listen(self, text: str) -> None:
        if "Content Security Policy" in text or "Refused to" in text or "TrustedHTML" in text:
            self.complaints.append(text)


_ASK = """async ([path, body]) => {
  const token = JSON.parse(sessionStorage["dossierbus.session"]).token;
  const headers = { Authorization: `Bearer ${token}`, "Idempotency-Key": crypto.randomUUID() };
  headers["Content-Type"] = "application/json";
  const init = body === null ? { headers } : { method: "POST", headers, body: JSON.stringify(body) };
  return (await fetch(path, init)).json();
}"""
