"""Stored dossiers and published events in any number, copied from one that the product itself has made."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from pymongo import WriteConcern

from services.intake import domain
from services.intake.catalogue.load import load_catalogue
from services.intake.domain import dossier_aggregate
from services.intake.state import Dossier
from shared.contracts.dossier import IdentityCheckRequested
from shared.contracts.envelope import Envelope, Message
from shared.environment import SystemEnvironment, timestamp
from shared.identifiers import crockford
from shared.journal import Aggregate, Cause, Journal
from shared.store.journals import MongoJournalStore
from shared.store.mongo import Collection
from tests.unit.analytics_samples import TRACE, made
from tests.unit.intake_desk import submitted

ENVIRONMENT = SystemEnvironment()
KEY = b"k" * 32
SEALED = "sealed:v1:person:" + "A" * 240
PAGE = 1000
DOSSIERS_OF_ONE = 3
"""How many dossiers a person has: an index over applicants is as large as in a town."""


def dossiers(topic: str) -> Aggregate[Dossier]:
    """Intake's own aggregate, published to another topic."""
    return replace(dossier_aggregate(load_catalogue(), public_url="https://x.example", deadline_scale=1.0), topic=topic)


def name(number: int) -> str:
    """Return the id of the dossier with this number: evenly spread, like the product's own."""
    return crockford((number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128).to_bytes(16, "big"))


async def template(journal: Journal[Dossier], documents: Collection) -> dict[str, Any]:
    """Hand in one dossier and return its document; it is removed again."""
    subject = name(0)
    request = submitted("residence-certificate").model_copy(update={"person": SEALED, "form": SEALED})
    cause = Cause.command("somebody", "key", "body")
    await journal.record(subject, domain.submit(request, ()), cause, creates=True)
    found = await documents.find_one_and_delete({"_id": subject})
    if found is None:
        raise RuntimeError("the dossier was not stored")
    return found


async def store(documents: Collection, sample: dict[str, Any], numbers: Sequence[int], *, pending: bool) -> None:
    """Store copies of a document under the ids of these numbers; only the last page waits for the disk."""
    hasty = documents.with_options(write_concern=WriteConcern(w=1))
    for start in range(0, len(numbers), PAGE):
        page = [copy(sample, number, pending=pending) for number in numbers[start : start + PAGE]]
        # A reader of what a majority has would miss the end otherwise.
        last = start + PAGE >= len(numbers)
        await (documents if last else hasty).insert_many(page, ordered=False)


def copy(sample: dict[str, Any], number: int, *, pending: bool) -> dict[str, Any]:
    """Return a document as if it were another dossier's, published or not, a minute old."""
    subject = name(number)
    events = [{**event, "id": f"{subject}:{event['seq']}", "trace": TRACE} for event in sample["events"]]
    state = {**sample["state"], "id": subject, "applicant": name(-1 - number // DOSSIERS_OF_ONE)}
    document = {**sample, "_id": subject, "events": events, "state": state}
    document["updated_at"] = timestamp(ENVIRONMENT.now() - timedelta(minutes=1))
    if not pending:
        document.pop("pending", None)
        document["published"] = document["head"]
    return document


def journal_of(aggregate: Aggregate[Any], store: MongoJournalStore) -> Journal[Any]:
    """Return the journal of an aggregate kind in a store."""
    return Journal(aggregate, store, ENVIRONMENT, tenant="emmen", key=KEY)


def requests(topic: str, count: int) -> list[Message]:
    """Return so many requests for an identity check, each of another dossier."""
    value = made(IdentityCheckRequested, person=SEALED).model_dump_json().encode()
    return [_request(topic, name(number), value) for number in range(count)]


def _request(topic: str, subject: str, value: bytes) -> Message:
    envelope = Envelope(
        id=f"{subject}:3",
        source="//dossierbus/emmen/intake",
        type=IdentityCheckRequested.type,
        subject=subject,
        sequence=3,
        time=timestamp(ENVIRONMENT.now()),
        tenant="emmen",
        partitionkey=subject,
        traceparent=TRACE,
        mac="0" * 64,
    )
    return envelope.message(topic, value)
