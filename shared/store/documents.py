"""Between the journal's words and MongoDB's documents: what is stored of a change, read of a head. Does no I/O."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final

from shared.journal.model import Change, Document, Head, Watermark, Work
from shared.store.mongo import InsertOne, Operation, UpdateOne

_WATERMARK: Final = ("published", "fill", "pending")
HEAD: Final = (*_WATERMARK, "version", "head", "schema", "state", "seen", "shared", "work", "mac", "sealed")
"""The fields of a document that a head is made of."""
_WORK: Final = tuple(one.name for one in fields(Work))


def head_of(document: Document, matched: Sequence[Document]) -> Head:
    """Return a document as a head, with the events that the asked cause led to."""
    return Head(
        subject=document["_id"],
        version=document["version"],
        sequence=document["head"],
        schema=document["schema"],
        state=document["state"],
        published=Watermark(document.get("fill", 0), document["published"]),
        seen=document["seen"],
        shared=document["shared"],
        work=tuple(Work(**work) for work in document.get("work", ())),
        mac=document["mac"],
        matched=tuple(matched),
        pending=document.get("pending", False),
    )


def operation(change: Change, fill: int) -> Operation:
    """Return the write of a change; a new aggregate begins in this filling."""
    if change.version == 0:
        return InsertOne(_first(change, fill))
    update: dict[str, Any] = {"$set": _moved(change)}
    if change.seen is not None:
        update["$max"] = {f"seen.{change.seen[0]}": change.seen[1]}
    if change.events:
        update["$push"] = {"events": {"$each": list(change.events)}}
        update["$set"]["pending"] = True
    if not change.work:
        update["$unset"] = {"work": ""}
    # The upsert makes a stale version a duplicate key, reported with its place in the bulk; the validator refuses
    # the document it would make of a missing one, which lacks `created_at`.
    return UpdateOne({"_id": change.subject, "version": change.version}, update, upsert=True)


def _moved(change: Change) -> dict[str, Any]:
    moved: dict[str, Any] = {
        "version": change.version + 1,
        "head": change.sequence,
        "schema": change.schema,
        "state": change.state,
        "shared": dict(change.shared),
        "mac": change.mac,
    }
    if change.events:
        # Work that is taken or postponed does not make events younger: the sweeper goes by this time.
        moved["updated_at"] = change.time
    if change.work:
        moved["work"] = [_stored(work) for work in change.work]
    return moved


def _stored(work: Work) -> dict[str, Any]:
    return {name: getattr(work, name) for name in _WORK}


def _first(change: Change, fill: int) -> dict[str, Any]:
    return {
        "_id": change.subject,
        "tenant": change.tenant,
        **_moved(change),
        "events": list(change.events),
        "published": 0,
        "fill": fill,
        "pending": True,
        "seen": dict([change.seen]) if change.seen else {},
        "created_at": change.time,
    }
