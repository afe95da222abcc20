"""What is committed runs anywhere: no path of one machine, no private host, no package from elsewhere than its home."""

import re

import pytest

from tests.architecture.tree import texts, tracked

OWN = "tests/architecture/test_hygiene.py"
LOCKS = ("uv.lock", "package-lock.json", "yarn.lock", "pnpm-lock.yaml", "poetry.lock")
HOMES = {"pypi.org", "files.pythonhosted.org"}
HOST = re.compile(r"https?://(?:[^/\s\"'@]*@)?([A-Za-z0-9.-]+)")
MACHINE_PATH = re.compile(r"(?<![\w.\-/<>}])/(?:work|home/\w+|Users/\w+)(?:/|\b)(?![-\w])")
PRIVATE = re.compile(r"\b(?:[a-z0-9-]+\.)+(?:internal|intranet|corp|lan|localdomain)\b")
LARGEST_FILE = 1_000_000


def test_lock_files_name_the_public_index_only() -> None:
    """Packages come from PyPI and no other host."""
    found = {path: set(HOST.findall(text)) for path, text in texts() if path.rpartition("/")[2] in LOCKS}
    assert "uv.lock" in found
    assert {path: hosts - HOMES for path, hosts in found.items() if hosts - HOMES} == {}


def test_no_path_of_one_machine() -> None:
    """No file names a directory that exists on its author's machine only."""
    found = {
        path: match[0] for path, text in texts() if path != OWN and (match := MACHINE_PATH.search(text)) is not None
    }
    assert found == {}


def test_no_private_host() -> None:
    """No file names a host that only one network knows."""
    found = {
        path: match[0]
        for path, text in texts()
        if path not in (OWN, "uv.lock") and (match := PRIVATE.search(text)) is not None
    }
    assert found == {}


def test_no_large_or_built_file() -> None:
    """Nothing is committed that a build or a package manager makes."""
    assert [path for path in tracked() if path.endswith((".pyc", ".deb", ".whl", ".jar", ".so", ".tar.gz"))] == []
    assert [path for path, text in texts() if len(text) > LARGEST_FILE] == []


@pytest.mark.parametrize(
    ("text", "found"),
    [("cd /work", True), ("`/work`", True), ("services/intake/work.py", False), ("./work", False)],
)
def test_paths_are_told_apart(text: str, found: bool) -> None:
    """The search finds a machine's path and not a word that looks like one."""
    assert bool(MACHINE_PATH.search(text)) == found
