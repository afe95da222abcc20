"""Which backups stay: all of the last two days, then the newest of each day, until their retention is over.

Owns that rule and the removing. Looks at times only, never at what an archive holds, and touches nothing that is
neither an archive nor a draft of one.
"""

import shutil
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from shared.backup.archive import archives, draft_of, drafts, made_at

ALL_KEPT: Final = timedelta(days=2)
"""Within it every archive stays, so that hourly ones do; before it one a day is enough."""
QUIET: Final = timedelta(minutes=15)
"""Longer than a backup waits for MongoDB (`SOCKET_TIMEOUT_MS` of `shared.store.dump`): nobody writes there any more."""


def outlived(made: Mapping[Path, datetime], now: datetime, kept: timedelta) -> list[Path]:
    """Return which archives go, the oldest first; the newest of all never does. Days are UTC's.

    An archive goes when it is older than `kept`, or older than two days with a newer one of the same day beside it.
    """
    gone: list[Path] = []
    days = set()
    for place, one in enumerate(sorted(made, key=lambda one: made[one], reverse=True)):
        at = made[one]
        is_one_of_many = at < now - ALL_KEPT and at.date() in days
        days.add(at.date())
        if place > 0 and (at < now - kept or is_one_of_many):
            gone.append(one)
    return gone[::-1]


def prune(directory: Path, now: datetime, kept: timedelta) -> list[Path]:
    """Remove the archives that have outlived their use, and return them. Raises OSError.

    One whose manifest is broken counts for none of those that stay; it goes when it is older than `kept`.
    """
    whole: dict[Path, datetime] = {}
    broken: dict[Path, datetime] = {}
    for one in archives(directory):
        # Another backup may be removing it.
        with suppress(FileNotFoundError):
            try:
                whole[one] = made_at(one)
            except ValueError:
                broken[one] = _changed(one)
    gone = [*(one for one, at in broken.items() if at < now - kept), *outlived(whole, now, kept)]
    for one in gone:
        _remove(one)
    return gone


def clear_drafts(directory: Path, now: datetime) -> list[Path]:
    """Remove what backups left that were killed, and return it; a draft still being written stays. Raises OSError."""
    stale = []
    for draft in drafts(directory):
        # It may get its name at this moment.
        with suppress(FileNotFoundError):
            if _changed(draft) < now - QUIET:
                shutil.rmtree(draft)
                stale.append(draft)
    return stale


def _remove(archive: Path) -> None:
    """Take its name away first: what has a name is whole, also when this is killed."""
    with suppress(FileNotFoundError):
        shutil.rmtree(archive.rename(draft_of(archive)))


def _changed(directory: Path) -> datetime:
    """Return when something was last written into a directory, at any depth."""
    return datetime.fromtimestamp(max(one.stat().st_mtime for one in (directory, *directory.rglob("*"))), UTC)
