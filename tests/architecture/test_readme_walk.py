"""A newcomer can follow one dossier through the code: the README's walk is short and leads to what it names."""

import re
from dataclasses import dataclass

import pytest

from tests.architecture.tree import ROOT, section

HEADING = "Follow one dossier"
MOST_FILES = 18
MOST_LINES = 400
SERVICES_IN_ORDER = ("services/intake/", "services/identity/", "services/payments/", "services/notifications/")
LINK = re.compile(r"\[[^\]]+\]\(([\w./-]+)#L(\d+)-L(\d+)\)(?: `([\w.]+)`)?")


@dataclass(frozen=True)
class Stop:
    """A range of lines to read, both ends included, from 1; the function or class that stands there."""

    path: str
    first: int
    last: int
    name: str


@pytest.fixture
def walk() -> list[Stop]:
    """The stops of the walk in their order."""
    readme = ROOT / "README.md"
    if not readme.exists():
        pytest.skip("README.md is not written yet; the walk is its section “Follow one dossier”")
    text = section(readme.read_text(encoding="utf-8"), HEADING)
    assert text is not None, f"README.md has no section “{HEADING}”"
    stops = [Stop(path, int(first), int(last), name) for path, first, last, name in LINK.findall(text)]
    assert stops, "the section has no link of the form [text](path#Lx-Ly)"
    return stops


def test_walk_is_short(walk: list[Stop]) -> None:
    """At most 18 files and 400 lines are read; a line shown twice counts once."""
    lines = {(stop.path, number) for stop in walk for number in range(stop.first, stop.last + 1)}
    assert len({stop.path for stop in walk}) <= MOST_FILES
    assert len(lines) <= MOST_LINES


def test_walk_leads_where_it_says(walk: list[Stop]) -> None:
    """Each link names lines that exist, and the function or class named beside it begins among them."""
    for stop in walk:
        lines = (ROOT / stop.path).read_text(encoding="utf-8").splitlines()
        assert 1 <= stop.first <= stop.last <= len(lines), stop
        begins = re.compile(rf"\s*(?:async def|def|class) {stop.name.rpartition('.')[2]}\b")
        shown = lines[stop.first - 1 : stop.last]
        assert not stop.name or any(begins.match(line) for line in shown), stop


def test_walk_goes_through_the_services_in_order(walk: list[Stop]) -> None:
    """It enters intake first, then identity, payments, notifications, as a dossier does."""
    first = [next((i for i, stop in enumerate(walk) if stop.path.startswith(s)), -1) for s in SERVICES_IN_ORDER]
    assert -1 not in first
    assert first == sorted(first)
