"""What citizens feel when something is away: little, and nothing is missing afterwards."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import httpx

from deploy.local.journeys import books
from deploy.local.journeys.audit import Check, audit
from deploy.local.journeys.crowd import Crowd, mixed, residents
from deploy.local.journeys.endings import JOURNEYS
from deploy.local.journeys.town import Citizen, Town
from deploy.local.stack import Stack

OUTAGE_SECONDS = float(os.environ.get("OUTAGE_SECONDS", "15"))
SLIPS = next(journey for journey in JOURNEYS if journey.name == "payment-slips")
CARD = next(journey for journey in JOURNEYS if journey.name == "residence-by-card")


async def _wrong(stack: Stack, town: Town, crowd: Crowd) -> list[str | Check]:
    checks = await audit(stack, town, crowd.played)
    return [*crowd.failures, *(check for check in checks if not check.ok)]


@contextmanager
def _frozen(stack: Stack, name: str) -> Iterator[None]:
    """Stop a process without ending it: connections stay open and nothing answers."""
    stack.kill(name, signal.SIGSTOP)
    try:
        yield
    finally:
        stack.kill(name, signal.SIGCONT)


@asynccontextmanager
async def _faulty(stack: Stack, sandbox: str, **faults: object) -> AsyncIterator[None]:
    async with httpx.AsyncClient(timeout=10) as http:
        url = f"{stack.url(sandbox)}/sandbox/faults"
        (await http.put(url, json=faults)).raise_for_status()
        try:
            yield
        finally:
            (await http.delete(url)).raise_for_status()


async def test_intake_accepts_while_the_broker_is_away(stack: Stack, town: Town) -> None:
    """With the broker stopped every submission is accepted at once; when it is back all of them complete."""
    crowd = Crowd(town, await residents(town))
    answers: list[tuple[Citizen, float]] = []
    with _frozen(stack, "broker"):
        until = time.monotonic() + OUTAGE_SECONDS
        while time.monotonic() < until:
            citizen = Citizen(town, crowd.people[len(answers) % len(crowd.people)])
            started = time.monotonic()
            await citizen.submit("payment-slips", {"account": "fee", "count": 1})
            answers.append((citizen, time.monotonic() - started))
            await asyncio.sleep(0.5)
    assert len(answers) > 5
    assert max(seconds for _, seconds in answers) < 5
    for citizen, _ in answers:
        await citizen.until("completed")
    await crowd.play([CARD])
    assert await _wrong(stack, town, crowd) == []


async def test_database_away_is_said_and_heals(stack: Stack, town: Town) -> None:
    """MongoDB stopped: 503 with Retry-After as problem details; afterwards everything is well by itself."""
    person = (await residents(town))[0]
    citizen = Citizen(town, person)
    await citizen.submit("payment-slips", {"account": "fee", "count": 1})
    token = await citizen.token()
    url = f"{town.portal}/v1/dossiers/{citizen.dossier}"
    stack.process("mongo").kill(signal.SIGSTOP)
    try:
        answer = await town.http.get(url, headers={"Authorization": f"Bearer {token}"})
        ready = await town.http.get(f"{town.portal}/health/ready")
    finally:
        stack.process("mongo").kill(signal.SIGCONT)
    assert answer.status_code == 503
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert int(answer.headers["retry-after"]) > 0
    assert ready.status_code == 503
    await citizen.until("completed")


async def test_providers_that_hang_hold_up_nobody_else(stack: Stack, town: Town) -> None:
    """While register, payment provider and mail server hang, dossiers that need none of them do not wait for those."""
    people = await residents(town)
    crowd = Crowd(town, people)
    ready = Citizen(town, people[1])
    await ready.submit("residence-certificate", {"purpose": "bank", "content": "simple"}, payment_method="card")
    page = await ready.payable()
    await town.psp_session(page, "pay", {"card": "4242424242424242"})
    await ready.until("consent_needed", "in_progress")
    async with _faulty(stack, "psp", hang_seconds=OUTAGE_SECONDS), _faulty(stack, "mail", hang_seconds=OUTAGE_SECONDS):
        hung = asyncio.create_task(crowd.play([CARD] * 5))
        started = time.monotonic()
        await asyncio.gather(
            *(Citizen(town, person).town.http.get(town.portal + "/v1/services") for person in people[:5])
        )
        for person in people[10:15]:
            citizen = Citizen(town, person)
            await citizen.submit("payment-slips", {"account": "fee", "count": 1})
            await citizen.until("completed")
        assert time.monotonic() - started < OUTAGE_SECONDS
    await hung
    assert await _wrong(stack, town, crowd) == []


async def test_register_down_shows_as_delayed_and_recovers(stack: Stack, town: Town) -> None:
    """The register answers 503: the public status says that it is delayed; then the dossier completes by itself."""
    citizen = Citizen(town, (await residents(town))[3])
    async with _faulty(stack, "register", error_rate=1.0, status=503):
        await citizen.submit("payment-slips", {"account": "fee", "count": 1})
        await citizen.until("delayed")
        assert citizen.seen["status"]["waiting_for"] == "register"
    await citizen.until("completed")


async def test_an_emptied_broker_is_refilled_from_the_journals(stack: Stack, town: Town) -> None:
    """The broker comes back empty: topics are filled from the journals, KPIs are the same, no effect is repeated."""
    crowd = Crowd(town, await residents(town))
    await crowd.play(mixed(15, seed=5, hasty=False))
    assert await _wrong(stack, town, crowd) == []
    before, paid, sent = books.kpis(stack), books.ledger(stack), len(books.mails(stack))
    await asyncio.to_thread(stack.wipe_broker)
    await crowd.play([CARD, SLIPS])
    assert await _wrong(stack, town, crowd) == []
    after = books.kpis(stack)
    assert after["dossiers"]["submitted"] == before["dossiers"]["submitted"] + 2
    new = {one.dossier for one in crowd.played[-2:]}
    assert {key: count for key, count in books.ledger(stack).items() if key[0] not in new} == paid
    assert len([mail for mail in books.mails(stack) if not any(dossier in mail["text"] for dossier in new)]) == sent
