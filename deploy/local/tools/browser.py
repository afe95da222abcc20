"""The browser that the page tests look through."""

from deploy.local.tools.debian import ensure


def ensure_chromium() -> None:
    """Make sure of `chromium` on PATH: install Debian's as root, else print one sentence."""
    ensure("chromium", ("chromium",), "the tests of pages")
