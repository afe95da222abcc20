"""At most one `up` or test stack per data directory at a time. Owns the lock file; knows nothing of processes."""

import fcntl
import os
from io import TextIOWrapper
from pathlib import Path

from deploy.local.errors import LocalError


class StackLock:
    """An advisory file lock that the kernel releases when its holder ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIOWrapper | None = None

    def acquire(self) -> None:
        """Take the lock and write this process's id into it. Raises LocalError when another process holds it."""
        if self._file:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.close()
            raise LocalError(
                f"A local stack already runs from {self._path.parent} (process {holder(self._path)}): "
                "end it with `./dev down` first."
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._file = file

    def release(self) -> None:
        """Give the lock back; without effect when it is not held."""
        if self._file:
            self._file.close()
            self._file = None


def holder(path: Path) -> int | None:
    """The process that holds the lock now, None when nobody does."""
    if not path.exists():
        return None
    with path.open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            content = file.read().strip()
            return int(content) if content.isdigit() else None
    return None
