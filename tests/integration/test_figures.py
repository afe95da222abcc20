"""The lookout's figures in a real MongoDB: what waits, since when, by index, and never more than is there."""

from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client import REGISTRY

from services.intake.catalogue.load import load_catalogue
from services.intake.waiting import COLLECTION, OPEN, pipeline, waiting_dossiers
from shared.store.figures import Figures, Letters, Waiting
from shared.store.journals import open_journals
from shared.store.mongo import Database
from shared.store.small import MongoMarkers
from shared.testing.environment import FakeEnvironment
from tests.integration.conftest import Mongo

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
EARLY, SOON, LATE = "2026-11-20T08:00:00.000Z", "2026-11-21T07:59:00.000Z", "2026-11-25T08:00:00.000Z"


@pytest.fixture
async def database(mongo: Mongo) -> Database:
    """A fresh database with the journals' indexes."""
    database = await mongo.database()
    await open_journals(database, COLLECTION)
    return database


async def _insert(database: Database, **fields: Any) -> None:
    number = await database[COLLECTION].count_documents({})
    stored = {"_id": f"d{number}", "created_at": EARLY, "version": 1, "head": 1, "updated_at": SOON, **fields}
    await database[COLLECTION].insert_one(stored)


def _state(ending: str | None = None, expected_by: str | None = LATE, paid: str | None = None) -> dict[str, Any]:
    return {
        "service": "residence-certificate",
        "service_version": 1,
        "ending": ending,
        "waiting_for": "authority",
        "expected_by": expected_by,
        "submitted_at": EARLY,
        "requests": {"d:3": {"kind": "payment", "outcome": paid}},
        "steps": {"identity": {"phase": "done"}, "decision": {"phase": "open"}, "fee": {"phase": "open"}},
    }


async def test_unpublished(database: Database) -> None:
    """Only aggregates with unpublished events count; the oldest tells since when."""
    figures = Figures(database)
    assert await figures.unpublished(COLLECTION) == Waiting()
    await _insert(database)
    await _insert(database, pending=True, updated_at=SOON)
    await _insert(database, pending=True, updated_at=EARLY)
    assert await figures.unpublished(COLLECTION) == Waiting(2, EARLY)


async def test_work(database: Database) -> None:
    """Calls to providers count before they are due, timers only then; two pieces in one aggregate are two."""
    await _insert(database, work=[{"kind": "call", "due_at": EARLY}, {"kind": "call", "due_at": LATE}])
    await _insert(database, work=[{"kind": "ring", "due_at": LATE}])
    await _insert(database, work=[{"kind": "ring", "due_at": SOON}])
    found = await Figures(database).work(COLLECTION, ["call"], ["ring"], SOON)
    assert found == {
        ("call", True): Waiting(1, EARLY),
        ("call", False): Waiting(1, LATE),
        ("ring", True): Waiting(1, SOON),
    }


async def test_dead_letters(database: Database) -> None:
    """What other groups of the same database set aside is theirs."""
    markers = MongoMarkers(database)
    await markers.mark("mine", "d1", "KeyError", "d1:1", SOON, letters=2)
    await markers.mark("mine", "d2", "KeyError", "d2:1", EARLY, letters=1)
    await markers.mark("theirs", "d1", "KeyError", "d1:1", EARLY, letters=1)
    assert await Figures(database).dead_letters("mine") == [("KeyError", Letters(2, 3, EARLY))]


async def test_waiting_dossiers(database: Database) -> None:
    """Open dossiers by who is waited on, overdue and paid ones among them, and their open steps by authority."""
    for state in (_state(), _state(expected_by=SOON), _state(expected_by=SOON, paid="succeeded"), _state("completed")):
        await _insert(database, state=state)
    environment, catalogue = FakeEnvironment(NOW), load_catalogue()
    await waiting_dossiers(Figures(database), catalogue, environment)()
    labels = {"service": "residence-certificate", "waiting_for": "authority"}
    told = [
        REGISTRY.get_sample_value(f"dossierbus_{name}_dossiers", labels) for name in ("open", "overdue", "paid_overdue")
    ]
    assert told == [3, 2, 1]
    step = {"service": "residence-certificate", "step": "decision", "authority": "residents-office"}
    assert REGISTRY.get_sample_value("dossierbus_open_steps", step) == 3
    assert REGISTRY.get_sample_value("dossierbus_overdue_steps", step) == 2
    assert REGISTRY.get_sample_value("dossierbus_open_steps", {**step, "step": "identity"}) == 0


async def test_ended_dossiers_cost_nothing(database: Database) -> None:
    """The query reads the index of open dossiers, not the collection."""
    await Figures(database).index(COLLECTION, "state.ending", OPEN)
    await _insert(database, state=_state())
    for _ in range(20):
        await _insert(database, state=_state("completed"))
    plan = await database.command(
        {
            "explain": {"aggregate": COLLECTION, "pipeline": pipeline(SOON)[:2], "cursor": {}},
            "verbosity": "executionStats",
        }
    )
    assert plan["executionStats"]["totalDocsExamined"] == 1
