"""Waiting, for a while, until workers have done a recount that operators asked for. Asks for none, counts nothing."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Final, Protocol

from shared.environment import Environment
from shared.errors import RecountPending, StorageUnavailable
from shared.store.recounts import Recounts

PATIENCE: Final = timedelta(minutes=10)
POLL_SECONDS: Final = 0.5


class Store(Protocol):
    """Where recounts are noted. Raises `StorageUnavailable`."""

    async def state(self) -> Recounts:
        """Return what is wanted and what is done."""
        ...


def _unheard(_ready: int) -> None:
    """Tell nobody."""


async def until_done(
    recounts: Store,
    environment: Environment,
    number: int,
    partitions: int,
    tell: Callable[[int], None] = _unheard,
) -> None:
    """Return once every partition has come as far as this recount; `tell` hears how many have, whenever that changes.

    Raises `RecountPending` after ten minutes. An absent database is waited for as long: the recount goes on without us.
    """
    told, until = -1, environment.now() + PATIENCE
    while True:
        with suppress(StorageUnavailable):
            done = (await recounts.state()).done
            ready = sum(done.get(partition, 0) >= number for partition in range(partitions))
            if ready != told:
                tell(told := ready)
            if ready == partitions:
                return
        if environment.now() >= until:
            raise RecountPending("the recount is asked for, but not done yet: is analytics-worker running?")
        await environment.sleep(POLL_SECONDS)
