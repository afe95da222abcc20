"""Decisions are one page, quotable, and name what enforces them: files and tests that exist."""

import re
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, section

FOLDER = ROOT / "docs" / "adr"
PAGES = sorted(FOLDER.glob("0*.md"))
MOST_LINES = 60
NAMED_PATH = re.compile(r"`((?:shared|services|tests|deploy|docs)/[\w./-]+?)(?:::(\w+))?(?:\[\w+\])?`")

EVERY = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem[:4])


@EVERY
def test_page_has_its_parts(page: Path) -> None:
    """A number, a date, one line to quote, why, what follows, what enforces it; no longer than a page."""
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {page.stem[:4]}: ")
    assert re.search(r"^Date: \d{4}-\d{2}-\d{2}$", text, re.MULTILINE)
    assert len(re.findall(r"^> .+[.;]$", text, re.MULTILINE)) == 1
    assert all((section(text, part) or "").strip() for part in ("Why", "Consequences", "Enforced by"))
    assert len(text.splitlines()) <= MOST_LINES


@EVERY
def test_what_a_page_names_exists(page: Path) -> None:
    """Each file that is named in code marks exists, and each test that is named stands in its file."""
    text = page.read_text(encoding="utf-8")
    for path, name in NAMED_PATH.findall(text):
        assert (ROOT / path).exists(), path
        assert not name or f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), f"{path}::{name}"
    for link in re.findall(r"\]\(([\w./-]+\.md)\)", text):
        assert (FOLDER / link).is_file(), link


def test_numbers_are_gapless_and_listed() -> None:
    """Every decision has the next number, and the index quotes each one's line."""
    assert [page.stem[:4] for page in PAGES] == [f"{number:04d}" for number in range(1, len(PAGES) + 1)]
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    for page in PAGES:
        line = re.search(r"^> (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert line
        assert f"]({page.name}) " in index
        assert line[1] in index
