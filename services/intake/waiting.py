"""What waits at intake: open dossiers and their open steps, by who is waited on, and how many beyond expectation.

Counted by one query over the open dossiers alone, however many have ended. Expectation is what the applicant was told
(`expected_by` of the public status, from the catalogue's deadlines). Knows no person.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, get_args

from services.intake.domain import Catalogue
from services.intake.meters import record_open, record_steps
from shared.contracts.status import WaitingFor
from shared.environment import Environment, parse_timestamp, timestamp
from shared.lookout import Question
from shared.store.figures import Figures

COLLECTION: Final = "dossiers"
OPEN: Final[Mapping[str, Any]] = {"state.ending": {"$type": "null"}}
WAITED_ON: Final = tuple(name for name in get_args(WaitingFor) if name != "nobody")

Row = Mapping[str, Any]


def waiting_dossiers(figures: Figures, catalogue: Catalogue, environment: Environment) -> Question:
    """Ask what waits, and show every step of the catalogue, also those where nothing does."""

    async def ask() -> None:
        (found,) = await figures.ask(COLLECTION, pipeline(timestamp(environment.now())))
        tell_dossiers(found["dossiers"], catalogue)
        tell_steps(found["steps"], catalogue)

    return ask


def pipeline(now: str) -> list[Mapping[str, Any]]:
    """Return the query: groups of open dossiers, and of their open steps, as of `now` (RFC 3339)."""
    fields = {
        "service": "$state.service",
        "version": "$state.service_version",
        "waiting_for": "$state.waiting_for",
        "late": {"$and": [{"$gt": ["$state.expected_by", ""]}, {"$lt": ["$state.expected_by", now]}]},
        "paid": {"$anyElementTrue": [{"$map": {"input": _pairs("requests"), "in": _PAID}}]},
        "since": "$state.submitted_at",
        "expected_by": "$state.expected_by",
        "steps": _pairs("steps"),
    }
    counted = {"count": {"$sum": 1}, "since": {"$min": "$since"}, "expected_by": {"$min": "$expected_by"}}
    dossier = {"service": "$service", "waiting_for": "$waiting_for", "late": "$late", "paid": "$paid"}
    step = {"service": "$service", "version": "$version", "step": "$steps.k", "late": "$late"}
    steps = [
        {"$unwind": "$steps"},
        {"$match": {"steps.v.phase": {"$ne": "done"}}},
        {"$group": {"_id": step, **counted}},
    ]
    groups = {"dossiers": [{"$group": {"_id": dossier, **counted}}], "steps": steps}
    return [{"$match": OPEN}, {"$project": fields}, {"$facet": groups}]


def tell_dossiers(rows: Iterable[Row], catalogue: Catalogue) -> None:
    """Show open dossiers by service and who is waited on."""
    rows = tuple(rows)
    for service in sorted({service for service, _ in catalogue}):
        for waited_on in WAITED_ON:
            mine = [row for row in rows if (row["_id"]["service"], row["_id"]["waiting_for"]) == (service, waited_on)]
            late = [row for row in mine if row["_id"]["late"]]
            record_open(
                (service, waited_on),
                dossiers=_sum(mine),
                overdue=_sum(late),
                paid=_sum(row for row in late if row["_id"]["paid"]),
                since=_oldest(mine, "since"),
                overdue_since=_oldest(late, "expected_by"),
            )


def tell_steps(rows: Iterable[Row], catalogue: Catalogue) -> None:
    """Show open steps by service, step and authority; a dossier with two open steps counts at both."""
    rows = tuple(rows)
    for labels, keys in _steps(catalogue).items():
        mine = [row for row in rows if (row["_id"]["service"], row["_id"]["version"], row["_id"]["step"]) in keys]
        record_steps(labels, _sum(mine), _sum(row for row in mine if row["_id"]["late"]))


def _steps(catalogue: Catalogue) -> dict[tuple[str, str, str], set[tuple[str, int, str]]]:
    """Return (service, step, authority) -> where it occurs: versions may give a step to another authority."""
    found: dict[tuple[str, str, str], set[tuple[str, int, str]]] = {}
    for (service_id, version), service in catalogue.items():
        for step in service.steps:
            labels = (service_id, step.id, service.authority_of(step))
            found.setdefault(labels, set()).add((service_id, version, step.id))
    return found


def _pairs(name: str) -> Row:
    return {"$objectToArray": f"$state.{name}"}


_PAID: Final = {"$and": [{"$eq": ["$$this.v.kind", "payment"]}, {"$eq": ["$$this.v.outcome", "succeeded"]}]}


def _sum(rows: Iterable[Row]) -> int:
    return sum(row["count"] for row in rows)


def _oldest(rows: Iterable[Row], name: str) -> float | None:
    times: Iterator[str] = (row[name] for row in rows if row[name])
    first = min(times, default=None)
    return parse_timestamp(first).timestamp() if first else None
