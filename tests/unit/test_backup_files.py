"""A backup's files: whole or not there, checked without our tools, pruned by age; and the log of erasures."""

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.backup import erasures
from shared.backup.archive import (
    SUMS,
    BrokenArchive,
    CollectionWriter,
    Dumped,
    Manifest,
    archives,
    checked,
    documents,
    growing,
    prune,
    seal,
)
from shared.environment import timestamp

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DOCUMENTS = [(size).to_bytes(4, "little") + bytes([size]) * (size - 4) for size in (5, 100, 60)]


def _archive(directory: Path, made_at: datetime = NOW) -> Path:
    with growing(directory) as draft:
        with CollectionWriter(draft / "intake" / "dossiers.bson.gz") as writer:
            for document in DOCUMENTS:
                writer.add(document)
        dumped = Dumped(
            database="intake",
            collection="dossiers",
            options={},
            indexes=(),
            documents=writer.documents,
            bytes=writer.size,
            sha256=writer.sha256,
        )
        seal(
            draft,
            Manifest(part="services", made_at=timestamp(made_at), epochs={"intake": 0}, collections=(dumped,)),
        )
    return directory


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """The documents come back byte for byte, and `sha256sum` agrees with the manifest."""
    archive = _archive(tmp_path / "a")
    manifest = checked(archive, "services")
    assert list(documents(archive, manifest.collections[0])) == DOCUMENTS
    program = shutil.which("sha256sum") or pytest.skip("sha256sum is not there")
    assert subprocess.run([program, "--check", "--quiet", SUMS], cwd=archive, check=False).returncode == 0


@pytest.mark.parametrize("name", ["intake/dossiers.bson.gz", "manifest.json"])
def test_an_altered_or_missing_file_is_found(tmp_path: Path, name: str) -> None:
    """One wrong byte or a missing file makes the archive unusable before anything is written."""
    path = _archive(tmp_path / "a") / name
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"?")
    with pytest.raises(BrokenArchive):
        checked(tmp_path / "a", "services")
    path.unlink()
    with pytest.raises(BrokenArchive):
        checked(tmp_path / "a", "services")


def test_the_vault_is_no_service(tmp_path: Path) -> None:
    """An archive of one part is not taken for the other."""
    with pytest.raises(BrokenArchive):
        checked(_archive(tmp_path / "a"), "vault")


def test_a_failed_backup_leaves_nothing(tmp_path: Path) -> None:
    """What broke off has no name and no files."""
    with pytest.raises(FileNotFoundError), growing(tmp_path / "a") as draft:
        (draft / "file").rename(draft / "never" / "there")
    assert list(tmp_path.iterdir()) == []


def test_old_archives_go_and_the_newest_stays(tmp_path: Path) -> None:
    """Retention counts from when a backup was made; without newer ones even an old one is kept."""
    for days in (40, 36, 10):
        _archive(tmp_path / f"{100 - days}", NOW - timedelta(days=days))
    assert [one.name for one in prune(tmp_path, NOW, timedelta(days=35))] == ["60", "64"]
    assert [one.name for one in prune(tmp_path, NOW, timedelta(days=5))] == []
    assert [one.name for one in archives(tmp_path)] == ["90"]


def test_erasures_are_read_as_they_were_noted(tmp_path: Path) -> None:
    """In their order, repeats included; a line that a crash cut was not carried out yet and is left."""
    log = tmp_path / "apart" / "erasures.jsonl"
    for owner in ("d1", "d2", "d1"):
        erasures.note(log, owner, timestamp(NOW))
    log.write_bytes(log.read_bytes() + b'{"owner": "d3')
    assert list(erasures.erased(log)) == ["d1", "d2", "d1"]


def test_a_log_that_cannot_be_read_stops_a_restore(tmp_path: Path) -> None:
    """A missing log or an unreadable line is never taken for no erasures."""
    with pytest.raises(erasures.BrokenLog):
        list(erasures.erased(tmp_path / "none"))
    (tmp_path / "log").write_text('{"owner": "d1"}\nnonsense\n{"owner": "d2"}\n')
    with pytest.raises(erasures.BrokenLog):
        list(erasures.erased(tmp_path / "log"))
