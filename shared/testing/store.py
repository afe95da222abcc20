"""Stores in memory that keep the contract of the real ones, and can be told to fail. For tests and simulation."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from shared.errors import StorageUnavailable
from shared.journal.model import Change, Document, Head, Watermark, Work


@dataclass
class MemoryJournalStore:
    """The journals of one aggregate kind in memory. `lose_answers` applies that many writes and then fails."""

    documents: dict[str, Document] = field(default_factory=dict)
    segments: dict[str, dict[int, Document]] = field(default_factory=dict)
    restored: int = 0
    away: bool = False
    lose_answers: int = 0
    commits: int = 0
    fill: int = 0

    async def load(self, subject: str, cause: str | None = None) -> Head | None:
        """Return the head, with the events already recorded for this cause."""
        self._available()
        document = self.documents.get(subject)
        if document is None:
            return None
        self.fill = max(self.fill, document["fill"])
        matched = [event for event in self._events(subject) if cause is not None and event["cause"] == cause]
        return Head(
            subject=subject,
            version=document["version"],
            sequence=document["head"],
            schema=document["schema"],
            state=copy.deepcopy(document["state"]),
            published=Watermark(document["fill"], document["published"]),
            seen=dict(document["seen"]),
            shared=dict(document["shared"]),
            work=tuple(Work(**work) for work in document["work"]),
            mac=document["mac"],
            matched=tuple(copy.deepcopy(matched)),
            pending=document["pending"],
        )

    async def commit(self, change: Change) -> bool:
        """Apply the change; False if another writer was first."""
        self._available()
        document = self.documents.get(change.subject)
        if (document["version"] if document else 0) != change.version:
            return False
        self.documents[change.subject] = self._applied(document, change)
        self.commits += 1
        if self.lose_answers:
            self.lose_answers -= 1
            raise StorageUnavailable("the answer was lost")
        return True

    async def events(self, subject: str, after: int = 0) -> list[Document]:
        """Return the stored events with a greater sequence, in order, sealed segments included."""
        self._available()
        return [copy.deepcopy(event) for event in self._events(subject) if event["seq"] > after]

    async def mark_published(self, subject: str, after: Watermark, sequence: int) -> None:
        """Raise the watermark to `sequence` if it has come to `after`; clear the pending mark at the newest event."""
        self._available()
        document = self.documents.get(subject)
        if document is not None and document["fill"] == after.fill and document["published"] >= after.sequence:
            document["published"] = max(document["published"], sequence)
            document["pending"] = document["head"] > document["published"]

    async def pending(self, before: str, limit: int) -> list[str]:
        """Return subjects that may have unpublished events and got their newest before this time, oldest first."""
        self._available()
        waiting = [(d["updated_at"], s) for s, d in self.documents.items() if d["pending"] and d["updated_at"] < before]
        return [subject for _, subject in sorted(waiting)[:limit]]

    async def due(self, now: str, kinds: Sequence[str], limit: int) -> list[tuple[str, str]]:
        """Return (subject, work id) of work of these kinds that is due."""
        self._available()
        found = [
            (subject, work["id"])
            for subject, document in self.documents.items()
            for work in document["work"]
            if work["kind"] in kinds and work["due_at"] <= now
        ]
        return found[:limit]

    async def republish(self, fill: int) -> int:
        """Mark what is not in this filling yet as unpublished; return how many aggregates that were."""
        self._available()
        earlier = [document for document in self.documents.values() if document["fill"] < fill]
        for document in earlier:
            document.update(published=0, fill=fill, pending=True)
        self.fill = max(self.fill, fill)
        return len(earlier)

    async def seal(self, subject: str, keep: int) -> int:
        """Move published events but the newest `keep` to sealed segments; return how many moved."""
        self._available()
        document = self.documents.get(subject)
        if document is None:
            return 0
        last = min(document["published"], document["head"] - keep)
        moved = {event["seq"]: event for event in document["events"] if event["seq"] <= last}
        self.segments.setdefault(subject, {}).update(moved)
        document["events"] = [event for event in document["events"] if event["seq"] > last]
        return len(moved)

    async def subjects(self, after: str = "", limit: int = 1000) -> list[str]:
        """Return ids in ascending order, for paging through everything."""
        self._available()
        return [subject for subject in sorted(self.documents) if subject > after][:limit]

    async def epoch(self) -> int:
        """Return the number of the last restore; a test may set it."""
        self._available()
        return self.restored

    def _available(self) -> None:
        if self.away:
            raise StorageUnavailable("the store is away")

    def _events(self, subject: str) -> list[Document]:
        document = self.documents.get(subject)
        return [*self.segments.get(subject, {}).values(), *(document["events"] if document else ())]

    def _applied(self, document: Document | None, change: Change) -> Document:
        seen = dict(document["seen"]) if document else {}
        if change.seen is not None:
            seen[change.seen[0]] = max(change.seen[1], seen.get(change.seen[0], 0))
        return {
            "version": change.version + 1,
            "tenant": change.tenant,
            "head": change.sequence,
            "schema": change.schema,
            "state": copy.deepcopy(change.state),
            "events": [*(document["events"] if document else ()), *copy.deepcopy(change.events)],
            "published": document["published"] if document else 0,
            "fill": document["fill"] if document else self.fill,
            "pending": bool(change.events) or bool(document and document["pending"]),
            "seen": seen,
            "shared": dict(change.shared),
            "work": [asdict(work) for work in change.work],
            "mac": change.mac,
            "updated_at": change.time if change.events or document is None else document["updated_at"],
        }


@dataclass
class MemoryMarkers:
    """Dead-letter markers in memory."""

    markers: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    discards: dict[tuple[str, str], str] = field(default_factory=dict)
    away: bool = False

    async def mark(self, group: str, key: str, reason: str, event: str, now: str, *, letters: int = 0) -> None:
        """Remember that this dossier's events go to the dead-letter topic from this event on."""
        self._available()
        first: Mapping[str, Any] = {
            "group": group,
            "key": key,
            "reason": reason,
            "event": event,
            "since": now,
            "last": now,
            "attempts": 1,
            "waiting": 0,
        }
        self.markers.setdefault((group, key), dict(first))["waiting"] += letters

    async def marked(self, group: str, key: str, redrive: str = "") -> bool:
        """Return whether this dossier's events are set aside; those of the redrive under way are not."""
        self._available()
        marker = self.markers.get((group, key))
        return marker is not None and not (redrive and marker.get("redrive") == redrive)

    async def start_redrive(self, group: str, key: str, token: str) -> dict[str, Any] | None:
        """Let the letters with this token be handled from now on; return the marker, or None if there is none."""
        marker = self.markers.get((group, key))
        if marker is None:
            return None
        marker["redrive"] = token
        return dict(marker)

    async def stop_redrive(self, group: str, key: str, token: str, reason: str, event: str, now: str) -> None:
        """Handle no more letters of this redrive: `event` failed again; without effect for another redrive."""
        marker = self.markers.get((group, key), {})
        if marker.get("redrive") == token:
            del marker["redrive"]
            marker.update(reason=reason, event=event, last=now, attempts=marker["attempts"] + 1)

    async def discard(self, group: str, key: str, event: str, reason: str, who: str, now: str) -> None:
        """Remember for good that the group is not to handle this event."""
        self.discards.setdefault((group, event), f"{key} {reason} {who} {now}")

    async def discarded(self, group: str) -> set[str]:
        """Return the ids of all events that operators discarded."""
        self._available()
        return {event for owner, event in self.discards if owner == group}

    async def is_discarded(self, group: str, event: str) -> bool:
        """Return whether operators discarded an event."""
        self._available()
        return (group, event) in self.discards

    async def find(self, group: str, key: str) -> dict[str, Any] | None:
        """Return a marker, or None."""
        marker = self.markers.get((group, key))
        return dict(marker) if marker else None

    async def finish_redrive(self, group: str, key: str, token: str, waiting: int) -> bool:
        """Remove the marker unless the redrive was stopped or more letters than `waiting` have come; say if it was."""
        marker = self.markers.get((group, key), {})
        finished = marker.get("redrive") == token and marker.get("waiting") == waiting
        if finished:
            del self.markers[group, key]
        return finished

    async def keys(self, group: str) -> set[str]:
        """Return every dossier that this group sets aside."""
        self._available()
        return {key for owner, key in self.markers if owner == group}

    async def page(self, group: str, after: tuple[str, str] | None, limit: int) -> list[dict[str, Any]]:
        """Return so many of the group's markers after the one with this (since, dossier), oldest first."""
        found = sorted(await self.list(group), key=lambda marker: (marker["since"], marker["key"]))
        return [marker for marker in found if after is None or (marker["since"], marker["key"]) > after][:limit]

    async def list(self, group: str) -> list[dict[str, Any]]:
        """Return the group's markers."""
        return [marker for (owner, _), marker in self.markers.items() if owner == group]

    async def clear(self, group: str, key: str) -> None:
        """Let this dossier's events be handled again."""
        self.markers.pop((group, key), None)

    def _available(self) -> None:
        if self.away:
            raise StorageUnavailable("the store is away")
