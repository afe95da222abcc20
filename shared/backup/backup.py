"""Backing up: every database at the same moment, the vault into an archive of its own. Changes no database."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.backup.archive import CollectionWriter, Dumped, Manifest, Part, growing, seal
from shared.environment import Environment, timestamp
from shared.store.dump import Cut, Shape, beside, cut
from shared.store.mongo import Database
from shared.store.small import MongoEpochs

SERVICES: Final = ("intake", "identity", "payments", "notifications", "analytics")
VAULT: Final = "vault"
PASSING: Final = frozenset({"leases", "tickets", "dead_letters"})
"""Not kept: leases and tickets end within seconds; a restore has everything read again, so nothing is set aside."""
TOLD_EVERY: Final = 10_000

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Source:
    """Which databases go into an archive: their names there and as they are called in MongoDB."""

    part: Part
    directory: Path
    databases: Mapping[str, str]


def sources(services: Path, vault: Path) -> tuple[Source, Source]:
    """Return what an installation backs up: all services, and the vault apart."""
    return (
        Source("services", services, {name: name for name in SERVICES}),
        Source("vault", vault, {VAULT: VAULT}),
    )


async def back_up(database: Database, wanted: Sequence[Source], environment: Environment, say: Say) -> list[Manifest]:
    """Write an archive per source, all of one moment. Raises `SnapshotGone`, `StorageUnavailable`, OSError."""
    made_at = timestamp(environment.now())
    async with cut(database) as moment:
        return [await _archive(database, moment, source, made_at, say) for source in wanted]


async def _archive(database: Database, moment: Cut, source: Source, made_at: str, say: Say) -> Manifest:
    dumped: list[Dumped] = []
    epochs: dict[str, int] = {}
    with growing(source.directory) as draft:
        for name, real in source.databases.items():
            epochs[name] = await MongoEpochs(beside(database, real)).epoch()
            shapes = [shape for shape in await moment.shapes(real) if shape.name not in PASSING]
            dumped += [await _collection(moment, real, name, shape, draft, say) for shape in shapes]
        manifest = Manifest(part=source.part, made_at=made_at, epochs=epochs, collections=tuple(dumped))
        seal(draft, manifest)
    say(f"{source.directory}: {len(dumped)} collections, {manifest.documents} documents")
    return manifest


async def _collection(moment: Cut, real: str, name: str, shape: Shape, draft: Path, say: Say) -> Dumped:
    with CollectionWriter(draft / name / f"{shape.name}.bson.gz") as writer:
        async for document in moment.documents(real, shape.name):
            writer.add(document)
            if writer.documents % TOLD_EVERY == 0:
                say(f"{name}.{shape.name}: {writer.documents} documents")
    return Dumped(
        database=name,
        collection=shape.name,
        options=dict(shape.options),
        indexes=tuple(dict(index) for index in shape.indexes),
        documents=writer.documents,
        bytes=writer.size,
        sha256=writer.sha256,
    )
