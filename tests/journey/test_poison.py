"""One poison event per hundred: healthy dossiers do not feel it, all of it is set aside, and all of it ends well.

Poison as it comes about: a worker of an older release, whose catalogue lacks a municipal service that the portal
already offers, cannot handle any event of its dossiers. The fix is the worker of today; then they are redriven.
"""

import asyncio
import math
import os
import shutil
import statistics
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from deploy.local.journeys import books
from deploy.local.journeys.audit import Played, audit
from deploy.local.journeys.crowd import residents
from deploy.local.journeys.endings import CARD, Effects, card
from deploy.local.journeys.town import Citizen, Town
from deploy.local.stack import CHECKOUT, Stack
from services.intake import catalogue
from shared.contracts.topics import IDENTITY_EVENTS, NOTIFICATIONS_EVENTS, PAYMENTS_EVENTS
from shared.store.mongo import connect
from shared.store.small import MongoMarkers
from tests.journey.conftest import CATALOGUE

DOSSIERS = int(os.environ.get("POISON_DOSSIERS", "24"))
A_ROUND = int(os.environ.get("POISON_ROUND", "6"))
EVENTS_PER_DOSSIER = 18
"""What the intake group reads of one dossier paid by card, roughly; the real number is counted."""
NEW, OLD = "brand-new-certificate", "residence-certificate"
FORM = {"purpose": "bank", "content": "with_move_in_date"}
PATIENCE_SECONDS = 90.0


@dataclass
class Rounds:
    """What was played: how long healthy dossiers took with and without poison beside them, and who waits."""

    town: Town
    people: list[dict[str, Any]]
    seconds: dict[bool, list[float]] = field(default_factory=lambda: {True: [], False: []})
    played: list[Played] = field(default_factory=list)
    waiting: list[Citizen] = field(default_factory=list)
    poison: list[Citizen] = field(default_factory=list)

    async def play(self, number: int, *, poison: bool) -> None:
        """Play one round: some dossiers to their end, and beside them as few as one event in a hundred asks for.

        Those are poison, or else healthy ones that are left to wait in the same way, so that the load is the same.
        """
        beside = math.ceil(A_ROUND * EVENTS_PER_DOSSIER / 100)
        citizens = [Citizen(self.town, self._person(number * 50 + place)) for place in range(A_ROUND + beside)]
        handed_in = [self._hand_in(citizen, NEW if poison else OLD) for citizen in citizens[A_ROUND:]]
        await asyncio.gather(*handed_in, *(self._healthy(citizen, poison) for citizen in citizens[:A_ROUND]))
        self.waiting += citizens[A_ROUND:]
        self.poison += citizens[A_ROUND:] if poison else []

    async def finish(self) -> None:
        """Let those who wait go on to their end."""
        await asyncio.gather(*(self._go_on(citizen) for citizen in self.waiting))

    def _person(self, number: int) -> dict[str, Any]:
        return self.people[number % len(self.people)]

    async def _healthy(self, citizen: Citizen, poison: bool) -> None:
        started = time.monotonic()
        await card(citizen)
        self.seconds[poison].append(time.monotonic() - started)
        self._note(citizen)

    async def _hand_in(self, citizen: Citizen, service: str) -> None:
        await citizen.submit(service, FORM, consents=["residence"], payment_method="card")

    async def _go_on(self, citizen: Citizen) -> None:
        await citizen.town.psp_session(await citizen.payable(), "pay", CARD)
        await citizen.until("evidence_ready")
        await citizen.act("/evidence/residence", {"accepted": True})
        await citizen.until("completed")
        self._note(citizen)

    def _note(self, citizen: Citizen) -> None:
        effects = Effects("completed", captured=1)
        self.played.append(Played("poison", citizen.dossier, citizen.person["sub"], effects))


@pytest.fixture
async def older_worker(stack: Stack, tmp_path: Path) -> AsyncIterator[Path]:
    """The portal offers a service that intake's worker does not know yet; afterwards both know it."""
    await _treat_what_others_left(stack)
    ahead = tmp_path / "catalogue"
    shutil.copytree(CATALOGUE, ahead)
    text = (Path(catalogue.__file__).parent / f"{OLD}.yaml").read_text(encoding="utf-8")
    (ahead / f"{NEW}.yaml").write_text(text.replace(f"id: {OLD}\n", f"id: {NEW}\n"), encoding="utf-8")
    await _start_anew(stack, "intake-api", {"CATALOGUE": str(ahead)})
    try:
        yield ahead
    finally:
        await _start_anew(stack, "intake-worker", {"CATALOGUE": str(ahead)})


async def _treat_what_others_left(stack: Stack) -> None:
    """Hold no dossier any more that earlier tests in this town had set aside."""
    async with connect(stack.mongo_uri("intake")) as database:
        markers = MongoMarkers(database)
        for key in await markers.keys("intake"):
            await markers.clear("intake", key)


async def _start_anew(stack: Stack, role: str, environment: dict[str, str]) -> None:
    await asyncio.to_thread(stack.stop_role, role)
    await asyncio.to_thread(stack.start_role, role, environment)


async def _dlq(stack: Stack, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "services.cli", "dlq", *arguments, "--group", "intake"]
    process = await asyncio.create_subprocess_exec(
        *command, env=stack.env_for("intake-worker"), cwd=CHECKOUT, stdout=PIPE
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def _set_aside(stack: Stack, wanted: set[str]) -> set[str]:
    """Return the dossiers that intake holds, once all that are wanted are among them."""
    async with connect(stack.mongo_uri("intake")) as database:
        until = time.monotonic() + PATIENCE_SECONDS
        held = await MongoMarkers(database).keys("intake")
        while not wanted <= held and time.monotonic() < until:
            await asyncio.sleep(0.2)
            held = await MongoMarkers(database).keys("intake")
    return held


async def _read_by_intake(stack: Stack) -> int:
    ids = (await books.published(stack)).ids
    return sum(len(ids.get(topic, ())) for topic in (IDENTITY_EVENTS, PAYMENTS_EVENTS, NOTIFICATIONS_EVENTS))


async def test_poison_harms_nobody_else_and_is_redriven_to_its_end(
    stack: Stack, town: Town, older_worker: Path, record_property: Any
) -> None:
    """Rounds with and without poison take turns: healthy dossiers all complete in both, the poison alone is held, and
    after the fix one redrive completes it; each effect once, KPIs exact."""
    rounds, before = Rounds(town, await residents(town)), await _read_by_intake(stack)
    for number in range(max(2, DOSSIERS // A_ROUND)):
        await rounds.play(number, poison=number % 2 == 1)
    poison = {citizen.dossier for citizen in rounds.poison}
    assert await _set_aside(stack, poison) == poison
    # Half of the rounds had none.
    one_in = (await _read_by_intake(stack) - before) / 2 / len(poison)
    assert (await _dlq(stack, "redrive", "--dry-run"))[1].endswith(
        f"intake: {len(poison)} dossiers would be redriven in this order; nothing was done\n"
    )
    await _start_anew(stack, "intake-worker", {"CATALOGUE": str(older_worker)})
    started = time.monotonic()
    code, said = await _dlq(stack, "redrive")
    assert (code, said.splitlines()[-1]) == (0, f"intake: {len(poison)} of {len(poison)} dossiers handled")
    redriven = time.monotonic() - started
    await rounds.finish()
    assert [check for check in await audit(stack, town, rounds.played) if not check.ok] == []
    assert await _set_aside(stack, set()) == set()
    medians = {poisoned: statistics.median(found) for poisoned, found in rounds.seconds.items()}
    told = {
        "dossiers": len(rounds.played),
        "poison": len(poison),
        "one_event_in": round(one_in),
        "healthy_median_s": round(medians[False], 2),
        "healthy_median_beside_poison_s": round(medians[True], 2),
        "ratio": round(medians[True] / medians[False], 2),
        "redrive_s": round(redriven, 1),
    }
    record_property("poison", told)
    print(told)  # noqa: T201 - the figures of a run by hand
    # Isolation, not a benchmark: on a busy machine medians of a few dossiers vary by half.
    assert told["ratio"] < 2
