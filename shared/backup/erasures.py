"""The log of erasures: one line per owner whose keys were deleted, kept apart from databases and backups.

It outlives every backup of the vault, so that restoring an older one erases again. It holds ids and times, no person.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from shared.errors import Permanent


class BrokenLog(Permanent):
    """A line of the log cannot be read: nobody may restore keys without knowing whose were deleted."""


def note(log: Path, owner: str, now: str) -> None:
    """Append an erasure; on disk when this returns, and before any key is deleted."""
    log.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps({"owner": owner, "at": now}).encode() + b"\n"
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        if os.write(handle, line) != len(line):
            raise BrokenLog(f"{log}: a line could not be written whole")
        os.fsync(handle)
    finally:
        os.close(handle)


def erased(log: Path) -> Iterator[str]:
    """Yield the owners in the order of their erasures. Raises `BrokenLog`, also for a log that is not there."""
    try:
        lines = log.read_bytes().split(b"\n")
    except OSError as error:
        raise BrokenLog(f"{log}: {type(error).__name__}") from None
    for number, line in enumerate(lines, 1):
        # A crash may have cut the last line, whose keys were then not deleted yet.
        if not line or number == len(lines):
            continue
        try:
            owner = json.loads(line)["owner"]
        except (ValueError, KeyError, TypeError):
            raise BrokenLog(f"{log}: line {number}") from None
        yield str(owner)
