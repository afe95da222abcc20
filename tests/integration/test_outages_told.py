"""Outages that people see, over a real MongoDB: what workers tell, what operators are shown, what applicants read."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from services.intake.delays import DELAYED, Delays, prepare_delays
from services.intake.state import Dossier
from shared.circuit import CIRCUIT_SECONDS
from shared.errors import ProviderUnavailable
from shared.outages import REPORT_SECONDS, report
from shared.store.circuits import VALID, MongoCircuits, Outage
from shared.store.journals import open_journals
from shared.store.mongo import Database
from shared.testing.environment import FakeEnvironment
from shared.testing.issuer import FakeIssuer
from shared.testing.web import connected, problem, settings
from shared.web import providers
from shared.web.app import create_app
from shared.work import WorkLoop
from tests.integration.conftest import Mongo
from tests.unit.intake_desk import Desk
from tests.unit.sample_journal import CALL, journal_of
from tests.unit.work_office import Office

MORNING = datetime(2026, 11, 2, 7, 42, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WAITING = 14
JOURNALS = "payments"


@pytest.fixture
async def database(mongo: Mongo) -> Database:
    """A fresh database."""
    return await mongo.database()


@pytest.fixture
def environment() -> FakeEnvironment:
    """A quarter to nine in Zurich, almost."""
    return FakeEnvironment(MORNING)


@pytest.fixture
def circuits(database: Database, environment: FakeEnvironment) -> MongoCircuits:
    """What no worker has written to yet."""
    return MongoCircuits(database, environment)


@pytest.fixture
async def office(database: Database, environment: FakeEnvironment) -> Office:
    """A payments worker over a real database."""
    found = Office(provider="psp")
    found.environment = environment
    found.journal = journal_of(await open_journals(database, JOURNALS), environment)
    found.loop = WorkLoop(found.journal, {CALL: found.performer}, environment)
    return found


@pytest.fixture
def issuer(environment: FakeEnvironment) -> FakeIssuer:
    """Who signs people in."""
    return FakeIssuer(environment)


@pytest.fixture
async def operator(
    circuits: MongoCircuits, environment: FakeEnvironment, issuer: FakeIssuer
) -> AsyncIterator[httpx.AsyncClient]:
    """An operator at the service's API."""
    app = create_app("Test", "payments", settings=settings(), verifier=issuer.verifier())
    app.include_router(providers.routes(circuits, environment))
    async with connected(app) as http:
        http.headers["Authorization"] = f"Bearer {issuer.token('olga', ['operations'])}"
        yield http


async def shown(operator: httpx.AsyncClient, language: str = "de") -> list[dict[str, Any]]:
    """What the operator reads."""
    answer = await operator.get("/v1/operations/providers", headers={"Accept-Language": language})
    assert answer.status_code == 200
    found: list[dict[str, Any]] = answer.json()
    return found


async def until_told(circuits: MongoCircuits, seen: Callable[[list[Outage]], bool]) -> None:
    """Wait until the worker's word is there."""
    async with asyncio.timeout(5):
        while True:
            if seen(await circuits.outages()):
                return
            await asyncio.sleep(0.01)


async def test_operators_read_who_cannot_be_reached_since_when_and_how_many_wait(
    office: Office, circuits: MongoCircuits, environment: FakeEnvironment, operator: httpx.AsyncClient
) -> None:
    """From the first failure on, over its renewal, until the provider is back: then the list is empty again."""
    assert await shown(operator) == []
    telling = asyncio.create_task(report(office.loop, JOURNALS, circuits, environment))
    await office.open(*(f"d{number:02}" for number in range(WAITING)))
    office.provider.fails_with(ProviderUnavailable("away"))
    await office.work()
    environment.advance(timedelta(seconds=REPORT_SECONDS))
    await until_told(circuits, bool)
    assert await shown(operator) == [
        {
            "provider": "psp",
            "state": "open",
            "since": "2026-11-02T07:42:00.000Z",
            "waiting": WAITING,
            "text": "Der Zahlungsanbieter ist seit 08:42 nicht erreichbar; 14 Dossiers warten.",
        }
    ]
    (french,) = await shown(operator, "fr")
    assert french["text"] == "Le prestataire de paiement est inaccessible depuis 08:42; 14 dossiers attendent."
    office.provider.answer = None
    await office.work(CIRCUIT_SECONDS)
    environment.advance(timedelta(seconds=REPORT_SECONDS))
    await until_told(circuits, lambda told: not told)
    assert await shown(operator) == []
    telling.cancel()
    with suppress(asyncio.CancelledError):
        await telling


async def test_providers_are_for_operators_only(operator: httpx.AsyncClient, issuer: FakeIssuer) -> None:
    """Nobody else reads them: 403 with another scope, 401 without a token."""
    operator.headers["Authorization"] = f"Bearer {issuer.token('lea', ['citizen', 'caseworker'])}"
    problem(await operator.get("/v1/operations/providers"), 403, "scope-missing")
    del operator.headers["Authorization"]
    problem(await operator.get("/v1/operations/providers"), 401, "not-authenticated")


async def test_the_words_of_replicas_are_put_together(circuits: MongoCircuits, environment: FakeEnvironment) -> None:
    """Since the first of them, trying if one tries, the same dossiers counted once; each takes back its own word."""
    await circuits.keep("w1", Outage("psp", "open", MORNING, 9))
    await circuits.keep("w2", Outage("psp", "trying", MORNING - MINUTE, 7))
    await circuits.keep("w2", Outage("register", "open", MORNING, 1))
    together = Outage("psp", "trying", MORNING - MINUTE, 9)
    assert await circuits.outages() == [together, Outage("register", "open", MORNING, 1)]
    await circuits.forget("w2", "psp")
    await circuits.forget("w2", "register")
    assert await circuits.outages() == [Outage("psp", "open", MORNING, 9)]
    await circuits.keep("w1", Outage("psp", "trying", MORNING, 3))
    assert await circuits.outages() == [Outage("psp", "trying", MORNING, 3)]


async def test_the_word_of_a_worker_that_is_gone_ends(circuits: MongoCircuits, environment: FakeEnvironment) -> None:
    """A killed worker cannot take back what it said: it holds for half a minute."""
    await circuits.keep("w1", Outage("psp", "open", MORNING, 9))
    environment.advance(VALID)
    assert len(await circuits.outages()) == 1
    environment.advance(timedelta(milliseconds=1))
    assert await circuits.outages() == []


async def test_only_what_was_tried_waits_and_each_dossier_once(database: Database, circuits: MongoCircuits) -> None:
    """Two tried pieces of one dossier are one dossier; what was never tried and other kinds do not count."""
    tried, new, other = {"kind": "a", "attempts": 1}, {"kind": "a", "attempts": 0}, {"kind": "b", "attempts": 3}
    await database["things"].insert_many([{"work": work} for work in ([tried, tried], [new], [other], [new, other])])
    assert await circuits.waiting("things", ["a"]) == 1
    assert await circuits.waiting("things", ["a", "b"]) == 3
    assert await circuits.waiting("things", []) == 0


async def test_applicants_read_what_all_delayed_dossiers_tell(database: Database, environment: FakeEnvironment) -> None:
    """Read from the stored dossiers: since the first of those that are delayed now, and how many they are."""
    store = await open_journals(database, "dossiers")
    await prepare_delays(database, "dossiers")
    delays = Delays(store, environment)
    own = await _delayed(environment)
    starts = [MORNING + number * MINUTE for number in (2, 0, 1)]
    for number, since in enumerate([*starts, MORNING - MINUTE]):
        status = DELAYED if number < len(starts) else "in_progress"
        await database["dossiers"].insert_one(_stored(own, f"d{number}", since, status))
    assert delays.sentence(own, "de") == "Das Register ist seit 08:42 nicht erreichbar; 1 Dossier wartet."
    await delays.look()
    assert delays.sentence(own, "de") == "Das Register ist seit 08:42 nicht erreichbar; 3 Dossiers warten."
    await database["dossiers"].update_many({}, {"$set": {"state.status": "in_progress"}})
    await delays.look()
    assert delays.sentence(own, "de") == "Das Register ist seit 08:42 nicht erreichbar; 1 Dossier wartet."


async def _delayed(environment: FakeEnvironment) -> Dossier:
    """A dossier whose identity check is delayed."""
    desk = Desk(environment)
    await desk.submit("residence-certificate")
    dossier = await desk.tell("identity", "delayed", 1)
    assert dossier.status == DELAYED
    return dossier


def _stored(dossier: Dossier, subject: str, since: datetime, status: str) -> dict[str, Any]:
    state = dossier.model_dump(mode="json") | {"id": subject, "status": status}
    for request in state["requests"].values():
        request["delayed_since"] = request["delayed_since"] and f"{since:%Y-%m-%dT%H:%M:%S}.000Z"
    head = {"version": 1, "head": 3, "schema": 2, "state": state, "events": [], "published": 0, "tenant": "emmen"}
    return {"_id": subject, "created_at": "t", "updated_at": "t", "seen": {}, "shared": {}, "mac": "", **head}
