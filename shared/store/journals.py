"""Journals in MongoDB: one document per aggregate, sealed segments beside it. Decides nothing.

The largest document: the relay seals at every 200th event, so that 200 to 399 published events stay in it and older
ones lie in segments of 200. With events of 0.6 to 2 KB it stays far below MongoDB's 16 MB.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from shared.journal.model import KEPT_EVENTS, Change, Document, Head, Watermark
from shared.store.documents import HEAD, head_of, operation
from shared.store.mongo import (
    ASCENDING,
    Collection,
    Database,
    GroupCommit,
    GroupRead,
    UpdateOne,
    ensure_collection,
    translated,
)
from shared.store.small import MongoEpochs

SEGMENT_EVENTS: Final = KEPT_EVENTS


class MongoJournalStore:
    """The journals of one aggregate kind in one collection. See `JournalStore` for the contract."""

    def __init__(self, journals: Collection, segments: Collection) -> None:
        self.fill = 0
        self._journals = journals
        self._segments = segments
        self._writes = GroupCommit(journals)
        self._heads = GroupRead(self._find_heads, journals.name)
        self._bodies = GroupRead(self._find_bodies, journals.name)
        self._epoch: int | None = None

    async def epoch(self) -> int:
        """Return the number of the last restore from a backup; 0 before any."""
        if self._epoch is None:
            self._epoch = await MongoEpochs(cast("Database", self._journals.database)).epoch()
        return self._epoch

    async def load(self, subject: str, cause: str | None = None) -> Head | None:
        """Return the head, with the events already recorded for this cause."""
        document = await self._heads.get(subject, cause)
        if document is None:
            return None
        matched = await self._matched(document, cause) if cause else []
        head = head_of(document, matched)
        self.fill = max(self.fill, head.published.fill)
        return head

    async def commit(self, change: Change) -> bool:
        """Apply the change durably; False if another writer was first."""
        return await self._writes.submit(operation(change, self.fill)) == "written"

    async def events(self, subject: str, after: int = 0) -> list[Document]:
        """Return the stored events with a greater sequence, in order, sealed segments included."""
        document = await self._bodies.get(subject)
        if document is None:
            return []
        found: dict[int, Document] = {event["seq"]: event for event in document["events"]}
        if document.get("sealed", 0) > after:
            with translated():
                async for segment in self._segments.find({"subject": subject, "last": {"$gt": after}}):
                    found.update({event["seq"]: event for event in segment["events"]})
        return [found[sequence] for sequence in sorted(found) if sequence > after]

    async def mark_published(self, subject: str, after: Watermark, sequence: int) -> None:
        """Raise the watermark to `sequence` if it has come to `after`; clear the pending mark at the newest event."""
        # MongoDB finds a missing field when asked for null: a document from before there were fillings is in the first.
        fill: Any = after.fill or {"$in": [None, 0]}
        watermark = {"$max": ["$published", sequence]}
        raised = {
            "published": watermark,
            "pending": {"$cond": [{"$lte": ["$head", watermark]}, "$$REMOVE", True]},
        }
        reached = {"_id": subject, "published": {"$gte": after.sequence}, "fill": fill}
        await self._writes.submit(UpdateOne(reached, [{"$set": raised}]))

    async def pending(self, before: str, limit: int) -> list[str]:
        """Return subjects that may have unpublished events and got their newest before this time, oldest first."""
        with translated():
            cursor = self._journals.find({"pending": True, "updated_at": {"$lt": before}}, {"_id": 1})
            return [document["_id"] async for document in cursor.sort("updated_at", ASCENDING).limit(limit)]

    async def due(self, now: str, kinds: Sequence[str], limit: int) -> list[tuple[str, str]]:
        """Return (subject, work id) of work of these kinds that is due."""
        wanted = {"$elemMatch": {"kind": {"$in": list(kinds)}, "due_at": {"$lte": now}}}
        with translated():
            documents = await self._journals.find({"work": wanted}, {"work": 1}).limit(limit).to_list(limit)
        return [
            (document["_id"], work["id"])
            for document in documents
            for work in document["work"]
            if work["kind"] in kinds and work["due_at"] <= now
        ]

    async def republish(self, fill: int) -> int:
        """Mark what is not in this filling yet as unpublished; return how many aggregates that were."""
        marked, after = 0, ""
        while subjects := await self.subjects(after):
            # In pages: one update of everything would outlast the socket's timeout.
            page = {"_id": {"$in": subjects}, "fill": {"$not": {"$gte": fill}}}
            unpublished = {"published": 0, "fill": fill, "pending": True}
            with translated():
                result = await self._journals.update_many(page, {"$set": unpublished})
            marked, after = marked + result.modified_count, subjects[-1]
        self.fill = max(self.fill, fill)
        return marked

    async def seal(self, subject: str, keep: int) -> int:
        """Move published events but the newest `keep` to a sealed segment; return how many moved.

        The segment is written first: a crash in between leaves events in both places, and reading merges them.
        """
        with translated():
            document = await self._journals.find_one({"_id": subject}, {"events": 1, "published": 1, "head": 1})
            if document is None:
                return 0
            last = min(document["published"], document["head"] - keep)
            moved = [event for event in document["events"] if event["seq"] <= last]
            for start in range(0, len(moved), SEGMENT_EVENTS):
                await self._write_segment(subject, moved[start : start + SEGMENT_EVENTS])
            if moved:
                await self._journals.update_one(
                    {"_id": subject}, {"$pull": {"events": {"seq": {"$lte": last}}}, "$max": {"sealed": last}}
                )
        return len(moved)

    async def subjects(self, after: str = "", limit: int = 1000) -> list[str]:
        """Return ids in ascending order, for paging through everything."""
        with translated():
            cursor = self._journals.find({"_id": {"$gt": after}}, {"_id": 1}).sort("_id", ASCENDING).limit(limit)
            return [document["_id"] async for document in cursor]

    async def find(
        self,
        query: Mapping[str, Any],
        *,
        by: str,
        limit: int,
        after: tuple[str, str] | None = None,
        newest_first: bool = False,
    ) -> list[Head]:
        """Return heads that match a query over the stored fields, in the order of the field `by` and the id.

        `after` is the pair (value of `by`, id) of the last one of the page before.
        """
        beyond, direction = ("$lt", -1) if newest_first else ("$gt", 1)
        bound: dict[str, Any] = {}
        if after is not None:
            bound = {"$or": [{by: {beyond: after[0]}}, {by: after[0], "_id": {beyond: after[1]}}]}
        with translated():
            cursor = self._journals.find({**query, **bound}, dict.fromkeys(HEAD, 1))
            ordered = cursor.sort([(by, direction), ("_id", direction)]).limit(limit)
            return [head_of(document, []) async for document in ordered]

    async def _find_heads(self, wanted: Sequence[tuple[str, str | None]]) -> dict[str, Document]:
        """Return heads; `events` holds one if any asked cause led to one, which `_matched` then looks at alone."""
        causes = sorted({cause for _, cause in wanted if cause})
        projection: dict[str, Any] = dict.fromkeys(HEAD, 1)
        projection["events"] = {"$elemMatch": {"cause": {"$in": causes}}} if causes else {"$slice": 0}
        return await self._find_many([subject for subject, _ in wanted], projection)

    async def _find_bodies(self, wanted: Sequence[tuple[str, str | None]]) -> dict[str, Document]:
        return await self._find_many([subject for subject, _ in wanted], {"events": 1, "sealed": 1})

    async def _find_many(self, subjects: Sequence[str], projection: Mapping[str, Any]) -> dict[str, Document]:
        asked = list(dict.fromkeys(subjects))
        with translated():
            found = self._journals.find({"_id": {"$in": asked}}, projection, batch_size=len(asked) + 1)
            return {document["_id"]: document for document in await found.to_list(None)}

    async def _matched(self, document: Document, cause: str | None) -> list[Document]:
        if not document.get("events") and not await self._is_sealed(document, cause):
            return []
        # All of them: a cause's events may lie in the document and in several segments.
        return [event for event in await self.events(document["_id"]) if event["cause"] == cause]

    async def _is_sealed(self, document: Document, cause: str | None) -> bool:
        if not document.get("sealed"):
            return False
        with translated():
            found = await self._segments.find_one({"subject": document["_id"], "events.cause": cause}, {"_id": 1})
        return found is not None

    async def _write_segment(self, subject: str, events: Sequence[Document]) -> None:
        first, last = events[0]["seq"], events[-1]["seq"]
        await self._segments.replace_one(
            {"_id": f"{subject}/{first}"}, {"subject": subject, "first": first, "last": last, "events": events}, True
        )


def journals_in(database: Database, name: str) -> MongoJournalStore:
    """Return the store of one aggregate kind; asks nobody. Before its first use `prepare_journals` is to end."""
    return MongoJournalStore(database[name], database[f"{name}_segments"])


async def open_journals(database: Database, name: str, lookups: Sequence[str] = ()) -> MongoJournalStore:
    """Return the store of one aggregate kind, prepared."""
    await prepare_journals(database, name, lookups)
    return journals_in(database, name)


async def prepare_journals(database: Database, name: str, lookups: Sequence[str] = ()) -> None:
    """Make collections, validator and indexes where they are missing.

    `lookups` names stored fields, such as `state.status`, that the service's lists ask for.
    """
    journals = await ensure_collection(database, name, ("created_at", "version", "head"))
    segments = database[f"{name}_segments"]
    with translated():
        await journals.create_index(
            [("updated_at", ASCENDING)], name="pending", partialFilterExpression={"pending": True}
        )
        await journals.create_index([("work.kind", ASCENDING), ("work.due_at", ASCENDING)], name="due", sparse=True)
        await segments.create_index([("subject", ASCENDING), ("last", ASCENDING)], name="order")
        for field in lookups:
            await journals.create_index([(field, ASCENDING), ("_id", ASCENDING)], name=field)
