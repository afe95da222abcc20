"""How fresh a majority read must be when the primary changes. Owns that bound; reads and writes nothing.

A member that was just elected holds every acknowledged write, but does not know yet that all of them are safe, and
until another member follows it a majority read there shows less than its predecessor acknowledged. So every read names
the last write that the primary had when the driver found it, and MongoDB answers once that one is safe (MongoDB manual,
"Read Concern": `afterClusterTime`).

Never covers a primary that was deposed, does not know it yet, and is all that this process can reach (ADR 0024).
"""

from typing import Any

from bson import ObjectId, Timestamp
from pymongo.monitoring import (
    ServerHeartbeatFailedEvent,
    ServerHeartbeatListener,
    ServerHeartbeatStartedEvent,
    ServerHeartbeatSucceededEvent,
)
from pymongo.read_concern import ReadConcern


class PrimaryWatch(ServerHeartbeatListener):
    """Remembers what the latest primary held when it was found. The driver tells it before it uses that primary."""

    def __init__(self) -> None:
        self.held: Timestamp | None = None
        self._elected: ObjectId | None = None

    def started(self, event: ServerHeartbeatStartedEvent) -> None:
        """Nothing is known yet."""

    def failed(self, event: ServerHeartbeatFailedEvent) -> None:
        """Whoever follows tells more."""

    def succeeded(self, event: ServerHeartbeatSucceededEvent) -> None:
        """Take the bound of a primary elected later than the known one, as the driver itself does."""
        hello = event.reply
        election = hello.election_id
        if hello.is_writable and election is not None and (self._elected is None or election > self._elected):
            self.held = hello.document["lastWrite"]["opTime"]["ts"]
            self._elected = election


class FreshMajority(ReadConcern):
    """Majority reads that see every write acknowledged before, whichever primary acknowledged it."""

    def __init__(self, watch: PrimaryWatch) -> None:
        super().__init__("majority")
        self._watch = watch

    @property
    def document(self) -> dict[str, Any]:
        """The read concern as commands carry it; asked for anew by each command."""
        held = self._watch.held
        return super().document if held is None else {**super().document, "afterClusterTime": held}
