"""The KPIs as the API tells them: sums over all partitions, and estimates made of the fixed buckets. Pure."""

from collections.abc import Sequence
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from services.analytics.aggregate import Aggregate
from services.analytics.domain import BUCKET_SECONDS, Totals, add
from shared.contracts.dossier import Ending

PAYMENT_STATES = ("open", "succeeded", "declined", "expired", "cancelled", "refunded")
MESSAGE_STATES = ("queued", "sent", "failed", "suppressed")
IDENTITY_STATES = ("open", "confirmed", "mismatched", "failed", "cancelled")
EVIDENCE_STATES = ("open", "fetched", "unavailable", "cancelled")
ENDINGS: tuple[str, ...] = get_args(Ending)


class _View(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


class Dossiers(_View):
    """Dossiers by service and public status; a closed one counts by its ending."""

    total: int
    submitted: int
    closed: dict[str, int]
    by_service: dict[str, dict[str, int]]


class Decisions(_View):
    """Decided dossiers. `automatic`: no person decided any of its decision steps."""

    total: int
    automatic: int
    by_hand: int
    granted: int
    refused: int
    automatic_share: float | None = Field(description="0 to 1; null before the first decision.")


class Bucket(_View):
    """Dossiers that took longer than the bucket before and at most `up_to` seconds (null: longer than all)."""

    up_to: int | None
    count: int


class Duration(_View):
    """A duration since submission. The percentiles are estimated within a bucket; null before the first dossier."""

    count: int
    p50_seconds: int | None
    p90_seconds: int | None
    buckets: list[Bucket]


class Durations(_View):
    """Of all services and of each."""

    all: Duration
    by_service: dict[str, Duration]


class Money(_View):
    """Payments in one state: how many, and their amount in rappen."""

    count: int
    rappen: int


class Reuse(_View):
    """Evidence that applicants let the administration fetch instead of typing."""

    fields: int
    accepted: int
    rejected: int


class Targets(_View):
    """What the town promises, from submission to decision."""

    p50_seconds: int
    p90_seconds: int


class Consultations(_View):
    """Reserved for later: citizens' consultations are not counted yet, so no figure is given."""

    status: Literal["reserved"] = "reserved"


class Partition(_View):
    """How current one partition's share is, and which process counted it. `covered`: next offset by source topic."""

    partition: int
    worker: str
    as_of: str
    covered: dict[str, int]


class Kpis(_View):
    """All KPIs. `as_of` is the time of the oldest partition's share; not `complete` before all partitions told."""

    as_of: str | None
    complete: bool
    dossiers: Dossiers
    decisions: Decisions
    decision_time: Durations
    closing_time: Durations
    reuse: Reuse
    payments: dict[str, Money]
    messages: dict[str, int]
    identity: dict[str, int]
    evidence: dict[str, int]
    consultations: Consultations
    targets: Targets
    partitions: list[Partition]


def summed(aggregates: Sequence[Aggregate]) -> Totals:
    """Return the totals over partitions."""
    totals: Totals = {}
    for aggregate in aggregates:
        add(totals, aggregate.totals)
    return totals


def view(aggregates: Sequence[Aggregate], partitions: int, targets: Targets) -> Kpis:
    """Return the KPIs of these aggregates, one per partition, of an installation with `partitions` partitions."""
    totals = summed(aggregates)
    return Kpis(
        as_of=min((aggregate.at for aggregate in aggregates), default=None),
        complete=len(aggregates) == partitions,
        dossiers=_dossiers(totals),
        decisions=_decisions(totals),
        decision_time=_durations(totals, "decision"),
        closing_time=_durations(totals, "closing"),
        reuse=Reuse(**{name: totals.get(f"reuse/{name}", 0) for name in ("fields", "accepted", "rejected")}),
        payments={state: _money(totals, state) for state in PAYMENT_STATES},
        messages=_states(totals, "messages", MESSAGE_STATES),
        identity=_states(totals, "identity", IDENTITY_STATES),
        evidence=_states(totals, "evidence", EVIDENCE_STATES),
        consultations=Consultations(),
        targets=targets,
        partitions=[
            Partition(partition=a.partition, worker=a.worker, as_of=a.at, covered=dict(a.covered))
            for a in sorted(aggregates, key=lambda a: a.partition)
        ],
    )


def by_service(totals: Totals, section: str) -> dict[str, dict[str, int]]:
    """Return `section/<service>/<name>` as service -> name -> count, both in alphabetical order."""
    found: dict[str, dict[str, int]] = {}
    for path in sorted(totals):
        first, _, rest = path.partition("/")
        if first == section:
            service, _, name = rest.partition("/")
            found.setdefault(service, {})[name] = totals[path]
    return found


def bucket_counts(named: dict[str, int]) -> list[int]:
    """Return the counts of all buckets in order, the open one last."""
    return [named.get(str(index), 0) for index in range(len(BUCKET_SECONDS) + 1)]


def percentile(counts: Sequence[int], percent: int) -> int | None:
    """Return the estimated percentile in seconds, as Prometheus does: linear within its bucket; None without data.

    In the open bucket it is that bucket's lower bound.
    """
    rank = sum(counts) * percent / 100
    below, lower = 0, 0
    for count, upper in zip(counts, (*BUCKET_SECONDS, BUCKET_SECONDS[-1]), strict=True):
        if count and below + count >= rank:
            return round(lower + (upper - lower) * (rank - below) / count)
        below, lower = below + count, upper
    return None


def _dossiers(totals: Totals) -> Dossiers:
    services = by_service(totals, "dossiers")
    return Dossiers(
        total=sum(sum(statuses.values()) for statuses in services.values()),
        submitted=totals.get("submitted", 0),
        closed=_states(totals, "closed", ENDINGS),
        by_service=services,
    )


def _decisions(totals: Totals) -> Decisions:
    found = {
        (outcome, how): totals.get(f"decided/{outcome}/{how}", 0)
        for outcome in ("granted", "refused")
        for how in ("automatic", "by_hand")
    }
    count = sum(found.values())
    automatic = found["granted", "automatic"] + found["refused", "automatic"]
    granted = found["granted", "automatic"] + found["granted", "by_hand"]
    return Decisions(
        total=count,
        automatic=automatic,
        by_hand=count - automatic,
        granted=granted,
        refused=count - granted,
        automatic_share=round(automatic / count, 4) if count else None,
    )


def _durations(totals: Totals, section: str) -> Durations:
    services = {service: bucket_counts(named) for service, named in by_service(totals, section).items()}
    together = [sum(column) for column in zip(*services.values(), strict=True)] or bucket_counts({})
    return Durations(
        all=_duration(together), by_service={service: _duration(counts) for service, counts in services.items()}
    )


def _duration(counts: Sequence[int]) -> Duration:
    return Duration(
        count=sum(counts),
        p50_seconds=percentile(counts, 50),
        p90_seconds=percentile(counts, 90),
        buckets=[Bucket(up_to=up_to, count=n) for up_to, n in zip((*BUCKET_SECONDS, None), counts, strict=True)],
    )


def _money(totals: Totals, state: str) -> Money:
    return Money(count=totals.get(f"payments/{state}/count", 0), rappen=totals.get(f"payments/{state}/rappen", 0))


def _states(totals: Totals, section: str, states: Sequence[str]) -> dict[str, int]:
    return {state: totals.get(f"{section}/{state}", 0) for state in states}
