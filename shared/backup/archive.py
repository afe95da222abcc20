"""A backup as files that need no tool of ours: gzip of concatenated BSON per collection, SHA256SUMS, a manifest.

`sha256sum -c SHA256SUMS` checks it, `bsondump` and `mongorestore` read it. A directory gets its name only when it is
whole and on disk, so whatever has a name is a backup. Knows no database.
"""

import gzip
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from shared.environment import parse_timestamp
from shared.errors import Permanent

MANIFEST: Final = "manifest.json"
SUMS: Final = "SHA256SUMS"
FORMAT: Final = 1
_BLOCK: Final = 1 << 20
_LENGTH_BYTES: Final = 4

Part = Literal["services", "vault"]


class BrokenArchive(Permanent):
    """A backup lacks a file, has an altered one, or is of a format that this release does not know."""


class Dumped(BaseModel):
    """One collection in an archive: how to make it, what lies in its file, the file's SHA-256."""

    model_config = ConfigDict(frozen=True)
    database: str
    collection: str
    options: dict[str, Any]
    indexes: tuple[dict[str, Any], ...]
    documents: int
    bytes: int
    sha256: str

    @property
    def path(self) -> str:
        """Its file within the archive."""
        return f"{self.database}/{self.collection}.bson.gz"


class Manifest(BaseModel):
    """What an archive holds. `epochs`: after which restore each database was written."""

    model_config = ConfigDict(frozen=True)
    format: int = FORMAT
    part: Part
    made_at: str
    epochs: dict[str, int]
    collections: tuple[Dumped, ...]

    @property
    def documents(self) -> int:
        """How many documents all collections have."""
        return sum(one.documents for one in self.collections)


class CollectionWriter:
    """Writes the documents of one collection to its file. `size` is that of the documents, not of the file."""

    def __init__(self, path: Path) -> None:
        # Not its parents: a draft that somebody took away must not come back without what was in it.
        path.parent.mkdir(exist_ok=True)
        self._file = path.open("xb")
        self._hash = hashlib.sha256()
        # Without a time in it the same documents make the same file.
        self._zip = gzip.GzipFile(fileobj=self, mode="wb", compresslevel=4, mtime=0)
        self.documents = self.size = 0

    def add(self, document: bytes) -> None:
        """Append a document."""
        self._zip.write(document)
        self.documents += 1
        self.size += len(document)

    def write(self, data: bytes) -> int:
        """Take what compressing gives: for `gzip`, which sees this as its file."""
        self._hash.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        """Hand over to the operating system: for `gzip` too."""
        self._file.flush()

    @property
    def sha256(self) -> str:
        """The sum of the whole file, once it is closed."""
        return self._hash.hexdigest()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None) -> None:
        self._zip.close()
        _onto_disk(self._file)
        self._file.close()


@contextmanager
def growing(directory: Path) -> Iterator[Path]:
    """Yield where to write an archive that gets this name when it is whole; nothing is left of a failed one."""
    draft = draft_of(directory)
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True, mode=0o700)
    try:
        yield draft
        draft.rename(directory)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    entry = os.open(directory.parent, os.O_RDONLY)
    os.fsync(entry)
    os.close(entry)


def seal(directory: Path, manifest: Manifest) -> None:
    """Write the manifest and the sums beside the collections."""
    content = manifest.model_dump_json(indent=1).encode()
    sums = [(hashlib.sha256(content).hexdigest(), MANIFEST), *((one.sha256, one.path) for one in manifest.collections)]
    listed = "".join(f"{digest}  {name}\n" for digest, name in sums)
    for name, text in ((MANIFEST, content), (SUMS, listed.encode())):
        with (directory / name).open("wb") as file:
            file.write(text)
            _onto_disk(file)


def checked(directory: Path, part: Part) -> Manifest:
    """Return the manifest after comparing every file with its sum. Raises `BrokenArchive`."""
    try:
        manifest = Manifest.model_validate_json((directory / MANIFEST).read_bytes())
    except (OSError, ValidationError) as error:
        raise BrokenArchive(f"{directory} has no readable {MANIFEST}: {type(error).__name__}") from None
    if manifest.format != FORMAT or manifest.part != part:
        raise BrokenArchive(f"{directory} is {manifest.part} in format {manifest.format}, not {part} in {FORMAT}")
    for one in manifest.collections:
        if _sum_of(directory / one.path) != one.sha256:
            raise BrokenArchive(f"{directory / one.path} is not what was written")
    return manifest


def documents(directory: Path, dumped: Dumped) -> Iterator[bytes]:
    """Yield the documents of a collection. Raises `BrokenArchive` for another number of them than the manifest says."""
    read = 0
    with gzip.open(directory / dumped.path, "rb") as file:
        while head := file.read(_LENGTH_BYTES):
            yield head + file.read(int.from_bytes(head, "little") - _LENGTH_BYTES)
            read += 1
    if read != dumped.documents:
        raise BrokenArchive(f"{dumped.path} has {read} documents, not {dumped.documents}")


def archives(directory: Path) -> list[Path]:
    """Return the whole archives under a directory, oldest first."""
    found = directory.iterdir() if directory.is_dir() else ()
    return sorted(one for one in found if not one.name.startswith(".") and (one / MANIFEST).is_file())


def made_at(archive: Path) -> datetime:
    """Return the moment an archive is of. Raises OSError, and ValueError for a manifest that nobody can read."""
    return parse_timestamp(Manifest.model_validate_json((archive / MANIFEST).read_bytes()).made_at)


def draft_of(archive: Path) -> Path:
    """Return where an archive lies before it has its name."""
    return archive.with_name(f".{archive.name}.partial")


def drafts(directory: Path) -> list[Path]:
    """Return what lies under a directory without being a whole archive (yet), in no order."""
    return [one for one in directory.glob(".*.partial") if one.is_dir()]


def _sum_of(path: Path) -> str | None:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError:
        return None
    return digest.hexdigest()


def _onto_disk(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())
