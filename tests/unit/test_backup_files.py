"""A backup's files: whole or not there, checked without our tools, thinned and pruned; and the log of erasures."""

import argparse
import errno
import os
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.backup import cli, erasures
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
    seal,
)
from shared.backup.retention import clear_drafts, outlived, prune
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


def test_hourly_ones_are_thinned_to_one_a_day() -> None:
    """All of two days, the newest of each day before, none beyond the retention, at every hour of sixty days."""
    made: dict[Path, datetime] = {}
    for hour in range(60 * 24):
        now = NOW + timedelta(hours=hour)
        made[Path(str(hour))] = now
        for one in outlived(made, now, timedelta(days=35)):
            del made[one]
    late = [at for at in made.values() if at >= now - timedelta(days=2)]
    early = [at for at in made.values() if at < now - timedelta(days=2)]
    assert late == [now - timedelta(hours=hour) for hour in range(48, -1, -1)]
    assert [at.date() for at in early] == [now.date() - timedelta(days=days) for days in range(35, 2, -1)]
    assert {at.hour for at in early} == {23}
    assert len(made) == 82
    assert outlived(made, now, timedelta(days=1)) == [path for path, at in made.items() if at < now - timedelta(days=1)]


def test_a_broken_archive_stands_for_no_other(tmp_path: Path) -> None:
    """It is neither the newest nor a day's only one, and goes by the age of its files; what is no archive stays."""
    whole = _archive(tmp_path / "1", NOW - timedelta(days=40))
    broken = _archive(tmp_path / "2", NOW)
    (broken / "manifest.json").write_bytes(b"?")
    (tmp_path / "lost+found").mkdir()
    assert prune(tmp_path, datetime.now(UTC), timedelta(days=35)) == []
    _age(broken, timedelta(days=36))
    assert prune(tmp_path, datetime.now(UTC), timedelta(days=35)) == [broken]
    assert {one.name for one in tmp_path.iterdir()} == {whole.name, "lost+found"}


def _age(directory: Path, age: timedelta) -> None:
    """Let everything in it be as old."""
    then = (datetime.now(UTC) - age).timestamp()
    for one in (*directory.rglob("*"), directory):
        os.utime(one, (then, then))


def _draft(directory: Path, age: timedelta) -> Path:
    """What a killed backup left, with a file in it that was last written so long ago."""
    draft = directory / ".2026-11-21T11-07-00Z.partial"
    with CollectionWriter(_made(draft) / "vault" / "keys.bson.gz") as writer:
        writer.add(DOCUMENTS[0])
    _age(draft, age)
    return draft


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True)
    return directory


def test_what_a_killed_backup_left_is_removed(tmp_path: Path) -> None:
    """Once nobody has written to it for a quarter of an hour; a backup under way keeps its draft."""
    draft = _draft(tmp_path, timedelta(minutes=10))
    assert clear_drafts(tmp_path, datetime.now(UTC)) == []
    _age(draft, timedelta(minutes=16))
    assert clear_drafts(tmp_path, datetime.now(UTC)) == [draft]
    assert list(tmp_path.iterdir()) == []
    assert clear_drafts(tmp_path / "none", NOW) == []


def test_a_draft_that_was_taken_away_does_not_come_back(tmp_path: Path) -> None:
    """A backup whose files somebody removed fails; it gets no name without them."""
    with growing(tmp_path / "a") as draft:
        pass
    shutil.rmtree(tmp_path / "a")
    with pytest.raises(FileNotFoundError):
        CollectionWriter(draft / "intake" / "dossiers.bson.gz")
    assert list(tmp_path.iterdir()) == []


async def test_a_full_place_heals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Room is made before anything is written, in both places: a backup that fails is not the last one for ever."""
    places = [tmp_path / "data", tmp_path / "keys"]
    now = datetime.now(UTC)
    for place in places:
        _draft(place, timedelta(hours=1))
        for days in (50, 40, 1):
            _archive(place / f"{60 - days}", now - timedelta(days=days))

    async def full(*_: object) -> list[Manifest]:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setenv("BACKUP_MONGODB_URI", "mongodb://127.0.0.1:1/admin")
    monkeypatch.setattr(cli, "back_up", full)
    options = argparse.Namespace(alone=cli.backup, to=places[0], vault_to=places[1], keep_days=35, vault_keep_days=7)
    assert await cli.run(options) == 1
    assert "No space left on device" in capsys.readouterr().err
    for place in places:
        assert [one.name for one in place.iterdir()] == ["59"]


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
