"""Redriving: sends a dossier's dead letters to their topics again, in order, until its marker can go.

The marker stands while letters are handled, so that newer events of the dossier queue up behind them; it goes only if
no letter came meanwhile. Owns that order; the consumer does the handling. See `shared.consumer`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from shared.consumer import FOLLOWS, ORIGIN, redriven
from shared.contracts.envelope import Message, attributes
from shared.errors import BrokerUnavailable
from shared.relay import Publisher

ROUNDS: Final = 20

Ending = Literal["handled", "not_marked", "failed_again", "not_consumed", "never_ends"]


@dataclass(frozen=True, slots=True)
class Redriven:
    """What became of a redrive.

    `failed_again`: a letter still cannot be handled, it and those after it are set aside as before. `not_consumed`: the
    group does not run; it will handle the letters when it does, then redrive once more. `never_ends`: newer events
    come faster than they are handled; redrive once more.
    """

    group: str
    key: str
    letters: int
    ending: Ending


class Letters(Protocol):
    """The dead-letter topics. Raises `BrokerUnavailable`."""

    async def read(self, group: str, key: str) -> list[Message]:
        """Return all letters of a group with this key, oldest first."""
        ...

    async def consumed(self, group: str, topics: Sequence[str], key: str) -> bool:
        """Wait until the group has dealt with what now lies on these topics for this key; False if it does not."""
        ...


class Redrivable(Protocol):
    """Markers, as a redrive sees them. Raises `StorageUnavailable`."""

    async def start_redrive(self, group: str, key: str, token: str) -> dict[str, Any] | None:
        """Let the letters with this token be handled from now on; return the marker, or None if there is none."""
        ...

    async def finish_redrive(self, group: str, key: str, token: str, waiting: int) -> bool:
        """Remove the marker unless the redrive was stopped or more letters than `waiting` have come; say if it was."""
        ...

    async def find(self, group: str, key: str) -> dict[str, Any] | None:
        """Return a marker."""
        ...


async def redrive(
    group: str, key: str, *, token: str, markers: Redrivable, letters: Letters, publisher: Publisher
) -> Redriven:
    """Handle the letters of one dossier again; `token` is new for each call. Raises `Transient`, to be called again."""
    marker = await markers.start_redrive(group, key, token)
    if marker is None:
        return Redriven(group, key, 0, "not_marked")
    sent = 0
    for _ in range(ROUNDS):
        # Read before the letters: a letter that comes later makes another number of them, hence another round.
        waiting = marker["waiting"]
        again = [redriven(letter, group, token) for letter in in_order(await letters.read(group, key))]
        if not all(await publisher.publish(again)):
            raise BrokerUnavailable("a letter was not acknowledged")
        sent = len(again)
        if not await letters.consumed(group, sorted({message.topic for message in again}), key):
            return Redriven(group, key, sent, "not_consumed")
        if await markers.finish_redrive(group, key, token, waiting):
            return Redriven(group, key, sent, "handled")
        marker = await markers.find(group, key)
        if marker is None or marker.get("redrive") != token:
            return Redriven(group, key, sent, "failed_again")
    return Redriven(group, key, sent, "never_ends")


def in_order(letters: Iterable[Message]) -> list[Message]:
    """Return a dossier's letters once each, as they first came; crashes and redrives repeat some."""
    first: dict[tuple[bytes, str], Message] = {}
    for letter in letters:
        notes = dict(letter.headers)
        if FOLLOWS in notes:
            topic = notes[ORIGIN].rpartition(b"/")[0].rpartition(b"/")[0]
            first.setdefault((topic, attributes(letter.headers).get("id", "")), letter)
    return list(first.values())
