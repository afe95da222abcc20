"""Counting: does everything that journeys left behind equal what they did, exactly? Pure but for reading the books."""

import asyncio
import re
import sys
import time
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import httpx

from deploy.local.journeys import books
from deploy.local.journeys.books import Entry
from deploy.local.journeys.endings import Effects
from deploy.local.journeys.town import Town
from deploy.local.stack import CHECKOUT, Stack
from services.analytics.aggregate import Aggregate
from services.analytics.parity import totals_of
from services.analytics.view import Targets, view
from shared.contracts.dossier import DocumentIssued, DossierClosed, DossierDecided, DossierStatusChanged
from shared.contracts.event import Event
from shared.contracts.notifications import MessageSent
from shared.contracts.payments import PaymentRefunded, PaymentSucceeded

_WORD: Final = re.compile(r"[\w-]+")
Journals = Mapping[str, Sequence[Entry]]
SETTLE_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.5


@dataclass(frozen=True)
class Check:
    """One thing that was counted; `lost` and `twice`: how many of what was counted are too few or too many."""

    name: str
    ok: bool
    detail: str
    lost: int = 0
    twice: int = 0


@dataclass(frozen=True)
class Played:
    """A dossier that a journey played, and what must be left of it."""

    journey: str
    dossier: str
    subject: str
    effects: Effects


async def audit(
    stack: Stack, town: Town, played: Sequence[Played], settle_seconds: float = SETTLE_SECONDS
) -> list[Check]:
    """Return every check; waits first until messages, refunds and KPIs have come to rest."""
    ours = {one.dossier for one in played}
    journals = await _settled(stack, played, settle_seconds)
    mine = {dossier: entries for dossier, entries in journals.items() if dossier in ours}
    return [
        _endings(played, mine),
        _effects(played, mine),
        _money(stack, played),
        _mails(stack, mine),
        await _documents(town, played, mine),
        *await _events(stack, journals),
        await _journals_whole(stack),
        await _kpis(stack, journals),
    ]


def events_of(entries: Iterable[Entry], kind: type[Event]) -> list[Any]:
    """Return the events of one class."""
    return [entry.recorded.event for entry in entries if isinstance(entry.recorded.event, kind)]


async def _settled(stack: Stack, played: Sequence[Played], seconds: float) -> Journals:
    """Wait until nothing is under way, return the journals; the checks say what is missing if that never happens."""
    until = time.monotonic() + seconds
    while True:
        journals = await books.journals(stack)
        if await _at_rest(stack, played, journals) or time.monotonic() > until:
            return journals
        await asyncio.sleep(POLL_SECONDS)


async def _at_rest(stack: Stack, played: Sequence[Played], found: Journals) -> bool:
    entries = [entry for one in played for entry in found.get(one.dossier, ())]
    told = len(events_of(entries, MessageSent)) == len(events_of(entries, DossierStatusChanged))
    refunds = sum(one.effects.refunded for one in played) == len(events_of(entries, PaymentRefunded))
    return told and refunds and (await _kpis(stack, found)).ok


def _check(name: str, wrong: Sequence[str], good: str, differences: Sequence[int] = ()) -> Check:
    """`differences`: counted less expected, one by one."""
    few = -sum(one for one in differences if one < 0)
    return Check(name, not wrong, "; ".join(wrong[:5]) or good, few, sum(one for one in differences if one > 0))


def _endings(played: Sequence[Played], mine: Journals) -> Check:
    wrong, differences = [], []
    for one in played:
        endings = [closed.ending for closed in events_of(mine.get(one.dossier, ()), DossierClosed)]
        if endings != [one.effects.ending]:
            wrong.append(f"{one.journey} {one.dossier} ended {endings}, expected {one.effects.ending}")
            # Another ending than the expected one is a lost dossier too.
            differences.append(len(endings) - 1 if len(endings) > 1 else -1)
    return _check("every dossier in its end state", wrong, f"{len(played)} dossiers", differences)


def _effects(played: Sequence[Played], mine: Journals) -> Check:
    wrong, differences = [], list[int]()
    for one in played:
        entries, effects = mine.get(one.dossier, ()), one.effects
        counted = (
            len(events_of(entries, DossierDecided)),
            len(events_of(entries, DocumentIssued)),
            len(events_of(entries, PaymentSucceeded)),
            len(events_of(entries, PaymentRefunded)),
        )
        expected = (effects.decisions, effects.documents, effects.captured + effects.booked, effects.refunded)
        if counted != expected:
            wrong.append(f"{one.journey} {one.dossier}: {counted}, expected {expected}")
            differences += [real - wanted for real, wanted in zip(counted, expected, strict=True)]
    return _check("one decision, document, payment, refund each", wrong, "as each journey expects", differences)


def _money(stack: Stack, played: Sequence[Played]) -> Check:
    counted = books.ledger(stack)
    wrong, differences = [], []
    for one in played:
        for kind, expected in (("payment", one.effects.captured), ("refund", one.effects.refunded)):
            if difference := counted[one.dossier, kind] - expected:
                wrong.append(f"{one.journey} {one.dossier}: {kind} {expected + difference} times, expected {expected}")
                differences.append(difference)
    captured = sum(one.effects.captured for one in played)
    return _check("the payment provider's own ledger", wrong, f"{captured} payments captured", differences)


def _mails(stack: Stack, mine: Journals) -> Check:
    found: dict[str, Counter[str]] = {dossier: Counter() for dossier in mine}
    for mail in books.mails(stack):
        dossier = next((word for word in _WORD.findall(mail["text"]) if word in mine), None)
        if dossier is not None:
            found[dossier][mail["message_id"]] += 1
    wrong, differences = [], []
    for dossier, entries in mine.items():
        expected = len(events_of(entries, DossierStatusChanged))
        if difference := len(found[dossier]) - expected:
            wrong.append(f"{dossier}: {len(found[dossier])} different messages for {expected} statuses")
            differences.append(difference)
    messages = sum(len(counter) for counter in found.values())
    copies = sum(counter.total() for counter in found.values()) - messages
    return _check("one message per status", wrong, f"{messages} messages, {copies} second copies", differences)


async def _documents(town: Town, played: Sequence[Played], mine: Journals) -> Check:
    places = asyncio.Semaphore(8)

    async def wrong(one: Played, issued: DocumentIssued) -> str | None:
        url = f"{town.portal}/v1/dossiers/{one.dossier}/documents/{issued.document}"
        async with places:
            answer = await town.send("GET", url, await town.token(one.subject, "citizen"))
        whole = answer.content.startswith(b"%PDF") and sha256(answer.content).hexdigest() == issued.sha256
        return None if whole else f"{one.dossier}: the PDF is not the one that was issued"

    found = [wrong(one, issued) for one in played for issued in events_of(mine.get(one.dossier, ()), DocumentIssued)]
    told = [text for text in await asyncio.gather(*found) if text]
    return _check("every document can be downloaded", told, f"{len(found)} PDFs with their hashes", [-1] * len(told))


async def _events(stack: Stack, journals: Journals) -> list[Check]:
    published = await books.published(stack)
    recorded = _ids(journals)
    on_topics = {known for topic, ids in published.ids.items() if not topic.startswith("agency.") for known in ids}
    missing, foreign = sorted(recorded - on_topics), sorted(on_topics - recorded)
    if foreign:
        # Saved between the two readings, as the note in a dossier that its last message was sent.
        foreign = sorted(set(foreign) - _ids(await books.journals(stack)))
    differ = [f"missing {one}" for one in missing] + [f"in no journal {one}" for one in foreign]
    repeats = published.records - sum(len(ids) for ids in published.ids.values())
    return [
        _check(
            "topics equal journals",
            differ,
            f"{len(recorded)} events, {repeats} repeats",
            [-1] * len(missing) + [1] * len(foreign),
        ),
        _check("first occurrences in order", published.out_of_order(), f"{len(published.sequences)} subjects"),
    ]


def _ids(journals: Journals) -> set[str]:
    return {entry.id for entries in journals.values() for entry in entries}


async def _journals_whole(stack: Stack) -> Check:
    """Run the operators' `dossierbus verify` as each service."""
    told = await asyncio.gather(*(_verified(stack, service) for service in books.COLLECTIONS))
    return _check("every journal whole", [text for text in told if text], "verified by macs, sequences and folding")


async def _verified(stack: Stack, service: str) -> str:
    """Return what is wrong with a service's journals, or nothing."""
    command = [sys.executable, "-m", "services.cli", "verify", "--service", service]
    environment = stack.env_for(f"{service}-worker")
    process = await asyncio.create_subprocess_exec(*command, env=environment, cwd=CHECKOUT, stdout=PIPE)
    output, _ = await process.communicate()
    return f"{service}: {output.decode().strip()[-200:]}" if process.returncode != 0 else ""


_COMPARED: Final = ("dossiers", "decisions", "decisionTime", "closingTime", "reuse", "payments", "messages", "identity")


async def _kpis(stack: Stack, journals: Journals) -> Check:
    totals = totals_of(entry.received for entries in journals.values() for entry in entries)
    aggregate = Aggregate(0, "audit", 0, {}, "", totals)
    expected = view([aggregate], 1, Targets(p50_seconds=0, p90_seconds=0)).model_dump(mode="json", by_alias=True)
    try:
        live = books.kpis(stack)
    except httpx.HTTPError as error:
        return Check("KPIs exact", ok=False, detail=f"the KPI API does not answer: {type(error).__name__}")
    wrong = [f"{name}: {live[name]}, expected {expected[name]}" for name in _COMPARED if live[name] != expected[name]]
    return _check("KPIs exact", wrong, f"{live['dossiers']['submitted']} dossiers submitted")
