"""Restoring into empty databases: documents, then erasures again, then a new epoch and a broker to be filled.

Starts no role; whoever runs it starts them once it ended well. An interrupted restore is begun again from the start.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from shared.backup.archive import Manifest, documents
from shared.backup.backup import Say
from shared.environment import Environment
from shared.errors import Permanent
from shared.store.dump import Shape, clear, count, fill
from shared.store.mongo import Database
from shared.store.small import MongoEpochs, MongoKeyStore

EPOCHS_BEGIN: Final = datetime(2026, 1, 1, tzinfo=UTC)


class NotEmpty(Permanent):
    """A database to restore into holds documents."""


async def prepare(databases: Mapping[str, Database], *, replace: bool) -> None:
    """Make sure that the databases are empty; with `replace` empty them. Raises `NotEmpty`, `StorageUnavailable`."""
    for name, database in databases.items():
        if replace:
            await clear(database)
        elif found := await count(database):
            raise NotEmpty(f"database {name} holds {found} documents")


async def load(directory: Path, manifest: Manifest, databases: Mapping[str, Database], say: Say) -> int:
    """Write an archive's documents to these databases and to no other; return how many. Raises `BrokenArchive`."""
    loaded = 0
    for one in manifest.collections:
        if (database := databases.get(one.database)) is not None:
            shape = Shape(one.collection, one.options, one.indexes)
            loaded += await fill(database, shape, documents(directory, one))
            say(f"{one.database}.{one.collection}: {one.documents} documents")
    return loaded


async def erase_again(vault: Database, owners: Sequence[str]) -> None:
    """Delete the keys of everybody who was erased, also of those whom the archive does not know yet."""
    keys = MongoKeyStore(vault)
    for owner in owners:
        await keys.delete(owner)


async def begin(databases: Mapping[str, Database], manifest: Manifest, environment: Environment) -> int:
    """Begin an epoch in each database and let topics be filled again; return the epoch.

    It is counted in minutes, so that two restores of one backup, which know nothing of each other, differ.
    """
    minutes = int((environment.now() - EPOCHS_BEGIN).total_seconds() // 60)
    epoch = max(minutes, 1 + max(manifest.epochs.values(), default=0))
    for database in databases.values():
        await MongoEpochs(database).begin(epoch)
    return epoch
