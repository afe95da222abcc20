"""One record per dossier and what it adds to the KPIs. Pure: no Faust, no clock, no I/O; the person is unknown here.

A record holds one part per subject (the dossier, each check, fetch, payment, message) with the last sequence it took
in. A part depends on its own subject's events alone, so arrival order across subjects cannot matter, and a repeat or
an older event changes nothing. A KPI is the sum of the records' contributions; everything is an integer, so that
parity with the journals is exact.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import orjson

from shared.contracts import dossier, identity, notifications, payments
from shared.contracts.envelope import Envelope
from shared.contracts.event import Event
from shared.environment import parse_timestamp

Part = Mapping[str, Any]
"""What one subject has told: `n` last position, `k` kind, and the few fields its kind counts by."""

Record = Mapping[str, Part]
"""Parts by subject, without the dossier's id that all subjects begin with; the dossier itself is ``""``."""

Totals = dict[str, int]
"""KPIs by path, such as `payments/succeeded/rappen`; a path that is not there counts 0."""

NOTHING: Final[Record] = {}
RECOUNT: Final = "#"
"""Beside the parts: `n` says in which recount the record was made anew. Of a kind that no release counts."""
UNKNOWN_SERVICE: Final = "unknown"

BUCKET_SECONDS: Final = (10, 60, 300, 900, 3_600, 14_400, 86_400, 259_200, 432_000, 864_000, 2_592_000)
"""Upper bounds of the duration buckets, inclusive; what takes longer falls into one more.

Up to 5 min the applicant still has the page open (decided by rule); up to 4 h it is the same visit or working day;
1, 3, 5 and 10 days are what counters promise; 30 days is the order of a statutory time limit.
"""

_UNPAID: Final = frozenset({"payment_due", "payment_declined", "payment_abandoned"})
"""Public statuses that ask for money. Whoever has paid and still reads one of them has been forgotten."""

_BUCKET_MS: Final = tuple(seconds * 1000 for seconds in BUCKET_SECONDS)


def apply(record: Record, envelope: Envelope, event: Event) -> Record:
    """Return the record with the event taken in; the same object when it is a repeat, older or does not count."""
    step, subject = _STEPS.get(type(event)), envelope.subject.removeprefix(envelope.dossier)
    if step is None or subject == RECOUNT:
        return record
    part = record.get(subject, {})
    if envelope.position <= part.get("n", 0):
        return record
    return {**record, subject: {**part, **step(part, envelope, event), "n": envelope.position}}


def merge(one: Record, other: Record) -> Record:
    """Return what both records know together: per subject the part that has seen more. Order does not matter.

    Of two recounts the later one alone is right: what was wrong before it may well say that it has seen more.
    """
    if recount_of(one) != recount_of(other):
        return max(one, other, key=recount_of)
    newer = {subject: part for subject, part in other.items() if part["n"] > one.get(subject, {}).get("n", 0)}
    return {**one, **newer} if newer else one


def recount_of(record: Record) -> int:
    """Return in which recount a record was made anew; 0 before any."""
    number: int = record.get(RECOUNT, NOTHING).get("n", 0)
    return number


def stamped(record: Record, recount: int) -> Record:
    """Return the record as one of this recount."""
    return {**record, RECOUNT: {"k": RECOUNT, "n": recount}} if recount else record


def dump(record: Record) -> bytes:
    """Return the record as JSON, as it lies in the changelog."""
    return orjson.dumps(record)


def load(value: bytes | None) -> Record:
    """Return a stored record; an empty one for None."""
    record: Record = orjson.loads(value) if value else NOTHING
    return record


def contribution(record: Record) -> Totals:
    """Return what one dossier adds to the KPIs."""
    return _summed((*_counted(record.values()), *_counted_across(record)))


def difference(before: Record, after: Record) -> tuple[Totals, Totals]:
    """Return what a changed record takes from the KPIs and adds to them; the same part objects are left out."""
    less = [part for subject, part in before.items() if after.get(subject) is not part]
    more = [part for subject, part in after.items() if before.get(subject) is not part]
    return (
        _summed((*_counted(less), *_counted_across(before))),
        _summed((*_counted(more), *_counted_across(after))),
    )


def add(totals: Totals, more: Totals) -> None:
    """Add to totals in place."""
    for path, amount in more.items():
        totals[path] = totals.get(path, 0) + amount


def subtract(totals: Totals, less: Totals) -> None:
    """Take away from totals in place; a path that reaches 0 goes, so that equal KPIs are equal dicts."""
    for path, amount in less.items():
        left = totals.get(path, 0) - amount
        if left:
            totals[path] = left
        else:
            totals.pop(path, None)


def total(records: Iterable[Record]) -> Totals:
    """Return the KPIs of these dossiers: the sum of their contributions."""
    totals: Totals = {}
    for record in records:
        add(totals, contribution(record))
    return totals


def relevant_events() -> tuple[type[Event], ...]:
    """Every event class that a KPI depends on."""
    return tuple(_STEPS)


def _summed(counted: Iterable[tuple[str, int]]) -> Totals:
    totals: Totals = {}
    for path, amount in counted:
        if amount:
            totals[path] = totals.get(path, 0) + amount
    return totals


def _counted(parts: Iterable[Part]) -> Iterator[tuple[str, int]]:
    for part in parts:
        # A part of a kind that a later release counted is left to that release.
        if count := _COUNTS.get(part["k"]):
            yield from count(part)


def _counted_across(record: Record) -> Iterator[tuple[str, int]]:
    own = record.get("", {})
    if own.get("status") in _UNPAID and "ending" not in own and any(_is_paid(part) for part in record.values()):
        yield f"paid_waiting/{own.get('service', UNKNOWN_SERVICE)}", 1


def _is_paid(part: Part) -> bool:
    return bool(part["k"] == "p" and part["s"] == "succeeded")


def _count_dossier(part: Part) -> Iterator[tuple[str, int]]:
    service = part.get("service", UNKNOWN_SERVICE)
    ending = part.get("ending")
    yield f"dossiers/{service}/{ending or part.get('status', 'received')}", 1
    if "submitted" in part:
        yield "submitted", 1
    if ending:
        yield f"closed/{ending}", 1
    if "decided" in part:
        yield f"decided/{part['outcome']}/{'automatic' if part['automatic'] else 'by_hand'}", 1
        yield from _count_duration(part, "decided", f"decision/{service}")
    if "closed" in part:
        yield from _count_duration(part, "closed", f"closing/{service}")
    for kind in ("accepted", "rejected", "fields"):
        if part.get(kind):
            yield f"reuse/{kind}", part[kind]


def _count_duration(part: Part, until: str, path: str) -> Iterator[tuple[str, int]]:
    if "submitted" in part:
        yield f"{path}/{bisect_left(_BUCKET_MS, part[until] - part['submitted'])}", 1


def _count_payment(part: Part) -> Iterator[tuple[str, int]]:
    yield f"payments/{part['s']}/count", 1
    yield f"payments/{part['s']}/rappen", part.get("a", 0)


def _counting(section: str) -> Callable[[Part], Iterator[tuple[str, int]]]:
    def count(part: Part) -> Iterator[tuple[str, int]]:
        yield f"{section}/{part['s']}", 1

    return count


_COUNTS: Final[Mapping[str, Callable[[Part], Iterator[tuple[str, int]]]]] = {
    "d": _count_dossier,
    "i": _counting("identity"),
    "e": _counting("evidence"),
    "p": _count_payment,
    "m": _counting("messages"),
}


def _milliseconds(envelope: Envelope) -> int:
    return int(parse_timestamp(envelope.time).timestamp() * 1000)


def _submitted(_part: Part, envelope: Envelope, event: dossier.DossierSubmitted) -> Part:
    return {"k": "d", "service": event.service, "submitted": _milliseconds(envelope)}


def _status_changed(_part: Part, _envelope: Envelope, event: dossier.DossierStatusChanged) -> Part:
    return {"k": "d", "service": event.service, "status": event.code}


def _decided(part: Part, envelope: Envelope, event: dossier.DossierDecided) -> Part:
    """Several decisions: the last one tells outcome and time; automatic means that no person decided any of them."""
    automatic = event.automatic and part.get("automatic", True)
    return {"k": "d", "decided": _milliseconds(envelope), "outcome": event.outcome, "automatic": automatic}


def _closed(_part: Part, envelope: Envelope, event: dossier.DossierClosed) -> Part:
    return {"k": "d", "closed": _milliseconds(envelope), "ending": event.ending}


def _accepted(part: Part, _envelope: Envelope, event: dossier.EvidenceAccepted) -> Part:
    return {
        "k": "d",
        "accepted": part.get("accepted", 0) + 1,
        "fields": part.get("fields", 0) + event.fields_reused,
    }


def _rejected(part: Part, _envelope: Envelope, _event: dossier.EvidenceRejected) -> Part:
    return {"k": "d", "rejected": part.get("rejected", 0) + 1}


def _becomes(kind: str, state: str) -> Callable[[Part, Envelope, Any], Part]:
    def step(_part: Part, _envelope: Envelope, event: Any) -> Part:
        amount = {"a": event.amount} if hasattr(event, "amount") else {}
        return {"k": kind, "s": state, **amount}

    return step


_STEPS: Final[Mapping[type[Event], Callable[[Part, Envelope, Any], Part]]] = {
    dossier.DossierSubmitted: _submitted,
    dossier.DossierStatusChanged: _status_changed,
    dossier.DossierDecided: _decided,
    dossier.DossierClosed: _closed,
    dossier.EvidenceAccepted: _accepted,
    dossier.EvidenceRejected: _rejected,
    identity.IdentityCheckOpened: _becomes("i", "open"),
    identity.IdentityConfirmed: _becomes("i", "confirmed"),
    identity.IdentityMismatched: _becomes("i", "mismatched"),
    identity.IdentityCheckFailed: _becomes("i", "failed"),
    identity.IdentityCheckCancelled: _becomes("i", "cancelled"),
    identity.EvidenceFetchOpened: _becomes("e", "open"),
    identity.EvidenceFetched: _becomes("e", "fetched"),
    identity.EvidenceUnavailable: _becomes("e", "unavailable"),
    identity.EvidenceFetchCancelled: _becomes("e", "cancelled"),
    payments.PaymentOpened: _becomes("p", "open"),
    payments.PaymentSucceeded: _becomes("p", "succeeded"),
    payments.PaymentDeclined: _becomes("p", "declined"),
    payments.PaymentExpired: _becomes("p", "expired"),
    payments.PaymentCancelled: _becomes("p", "cancelled"),
    payments.PaymentRefunded: _becomes("p", "refunded"),
    notifications.MessageQueued: _becomes("m", "queued"),
    notifications.MessageSent: _becomes("m", "sent"),
    notifications.MessageFailed: _becomes("m", "failed"),
    notifications.MessageSuppressed: _becomes("m", "suppressed"),
}
