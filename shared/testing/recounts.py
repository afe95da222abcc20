"""Which recount is asked for and done, in memory, with the contract of `shared.store.recounts`."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from shared.store.recounts import Recounts


@dataclass
class MemoryRecounts:
    """The recounts of one installation."""

    wanted: int = 0
    done: dict[int, int] = field(default_factory=dict)
    owners: dict[int, str] = field(default_factory=dict)

    async def state(self) -> Recounts:
        """Return what is wanted and what is done."""
        return Recounts(self.wanted, dict(self.done))

    async def ask(self) -> int:
        """Ask for one more recount; return its number."""
        self.wanted += 1
        return self.wanted

    async def take(self, partitions: Iterable[int], owner: str) -> Recounts:
        """Become the only one who may finish a recount of these partitions; return what is wanted and done."""
        self.owners |= dict.fromkeys(partitions, owner)
        return await self.state()

    async def finish(self, partition: int, number: int, owner: str) -> bool:
        """Note a finished recount, unless another took the partition meanwhile; say if it was noted."""
        if self.owners.get(partition) != owner:
            return False
        self.done[partition] = max(number, self.done.get(partition, 0))
        self.wanted = max(self.wanted, number)
        return True
