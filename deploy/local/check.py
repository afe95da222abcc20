"""`./dev up --check`: plays every journey once against the running stack and counts everything afterwards."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import httpx

from deploy.local.journeys import books
from deploy.local.journeys.audit import Check, Played, audit
from deploy.local.journeys.crowd import Crowd, residents
from deploy.local.journeys.endings import JOURNEYS
from deploy.local.journeys.town import Town
from deploy.local.stack import Stack
from shared.contracts.dossier import DossierSubmitted

SERVICES: Final = frozenset({"intake", "identity", "payments", "notifications", "analytics"})
PATIENCE_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Report:
    """The account of a check: per dossier each step, when, by which service, in which trace; and what was counted."""

    ok: bool
    broker: str
    seconds: float
    dossiers: list[dict[str, Any]]
    checks: list[Check]

    def to_json(self) -> str:
        """The account for a program."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def to_text(self) -> str:
        """The account for a person."""
        lines = [line for dossier in self.dossiers for line in _told(dossier)]
        lines += ["", *(f"  {'ok  ' if one.ok else 'FAIL'} {one.name}: {one.detail}" for one in self.checks), ""]
        verdict = "All is well." if self.ok else "Not all is well."
        return "\n".join(
            [*lines, f"{verdict} {len(self.dossiers)} dossiers in {self.seconds:.0f} s on the {self.broker} broker."]
        )


def run(stack: Stack) -> Report:
    """Play, count, and tell."""
    return asyncio.run(_run(stack))


async def _run(stack: Stack) -> Report:
    started = time.monotonic()
    async with httpx.AsyncClient(timeout=20) as http:
        town = Town.of(stack, http)
        town.patience = PATIENCE_SECONDS
        crowd = Crowd(town, await residents(town))
        with stack.progress.step(f"played {len(JOURNEYS)} journeys"):
            await crowd.play(JOURNEYS)
        with stack.progress.step("counted"):
            checks = [_all_played(crowd), *await audit(stack, town, crowd.played)]
            dossiers = await _accounts(stack, crowd.played)
            checks.append(await _one_trace(stack, dossiers))
    seconds = round(time.monotonic() - started, 1)
    return Report(all(check.ok for check in checks), stack.broker_kind, seconds, dossiers, checks)


def _all_played(crowd: Crowd) -> Check:
    detail = "; ".join(crowd.failures) or f"{len(crowd.played)} journeys"
    return Check("every journey came to its end", not crowd.failures, detail)


async def _accounts(stack: Stack, played: Sequence[Played]) -> list[dict[str, Any]]:
    journals = await books.journals(stack)
    return [
        {
            "dossier": one.dossier,
            "journey": one.journey,
            "ending": one.effects.ending,
            "trace": _submitting_trace(journals.get(one.dossier, [])),
            "steps": [
                {"time": entry.time, "service": entry.service, "event": entry.recorded.event.word}
                for entry in journals.get(one.dossier, [])
            ],
        }
        for one in sorted(played, key=lambda one: one.journey)
    ]


def _submitting_trace(entries: Sequence[books.Entry]) -> str:
    """Return the trace id of the request that handed the dossier in."""
    first = next((entry for entry in entries if isinstance(entry.recorded.event, DossierSubmitted)), None)
    return first.trace.split("-")[1] if first and first.trace else ""


async def _one_trace(stack: Stack, dossiers: Sequence[dict[str, Any]]) -> Check:
    """The trace of a request reaches all five services; exporters send in batches, so wait for them."""
    name = "one trace through all five services"
    slips = next((dossier for dossier in dossiers if dossier["journey"] == "residence-by-card"), None)
    if slips is None or not slips["trace"]:
        return Check(name, ok=False, detail="no dossier with a trace")
    until = time.monotonic() + PATIENCE_SECONDS / 2
    found: set[str] = set()
    while not found >= SERVICES and time.monotonic() < until:
        found = {span["service"] for span in books.spans(stack, slips["trace"])}
        await asyncio.sleep(0.5)
    return Check(name, found >= SERVICES, f"{slips['trace']} in {', '.join(sorted(found))}")


def _told(dossier: dict[str, Any]) -> list[str]:
    head = f"{dossier['journey']} {dossier['dossier']} ended {dossier['ending']}, trace {dossier['trace']}"
    return ["", head, *(f"    {step['time']} {step['service']:<14} {step['event']}" for step in dossier["steps"])]
