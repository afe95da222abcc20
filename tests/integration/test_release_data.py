"""What the last release left behind is read by this one: verified, folded, continued, and counted to the same KPIs."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from deploy.local.journeys.books import journal_entries
from services.analytics.aggregate import Aggregate
from services.analytics.domain import load as load_record
from services.analytics.domain import total
from services.analytics.parity import differences, totals_of
from services.analytics.view import Targets, view
from services.cli import JOURNALS
from services.intake.catalogue.load import load_catalogue
from services.intake.domain import dossier_aggregate, withdraw
from shared.backup.archive import checked
from shared.backup.backup import SERVICES, VAULT
from shared.backup.restore import begin, load
from shared.environment import SystemEnvironment
from shared.journal import Journal
from shared.journal.verify import verify, verify_all
from shared.store.dump import beside
from shared.store.journals import MongoJournalStore, open_journals
from shared.store.mongo import Database
from shared.store.small import MongoKeyStore
from shared.vault import Vault
from tests.data.keep import COMPARED
from tests.integration.conftest import Mongo, fresh
from tests.unit.sample_journal import command

RELEASE: Final = Path(__file__).resolve().parents[1] / "data" / "release-1"
KEPT: Final[dict[str, Any]] = json.loads((RELEASE / "release.json").read_text())

Databases = dict[str, Database]


@pytest.fixture
async def databases(mongo: Mongo) -> Databases:
    """The release's databases, restored under fresh names."""
    first = await mongo.database()
    found = {name: beside(first, fresh(name)) for name in (*SERVICES, VAULT)}
    for part, names in (("services", SERVICES), ("vault", (VAULT,))):
        directory = RELEASE / part
        manifest = checked(directory, part)  # type: ignore[arg-type]
        assert await load(directory, manifest, {name: found[name] for name in names}, lambda _: None)
        if part == "services":
            await begin({name: found[name] for name in names}, manifest, SystemEnvironment())
    return found


def _key(kind: str, name: str) -> bytes:
    return base64.b64decode(KEPT["keys"][kind][name])


async def _journals(databases: Databases) -> AsyncIterator[tuple[str, Journal[Any]]]:
    for service, collections in JOURNALS.items():
        for name, aggregate in collections.items():
            store = await open_journals(databases[service], name)
            yield (
                service,
                Journal(aggregate, store, SystemEnvironment(), tenant="emmen", key=_key("journal", service)),
            )


async def test_every_journal_is_whole(databases: Databases) -> None:
    """Macs, sequences and states are what this release computes of them."""
    async for service, journal in _journals(databases):
        found = [checked async for checked in verify_all(journal)]
        assert found, service
        assert [one.findings for one in found if one.findings] == [], service


async def test_every_state_is_what_this_release_folds(databases: Databases) -> None:
    """A state stored with another schema number is folded anew and says the same."""
    async for service, journal in _journals(databases):
        for subject in await journal.store.subjects():
            stored = await journal.state(subject)
            assert isinstance(journal.store, MongoJournalStore)
            await journal.store._journals.update_one({"_id": subject}, {"$set": {"schema": -1, "state": {}}})
            assert await journal.state(subject) == stored, (service, subject)


async def test_a_waiting_dossier_goes_on(databases: Databases) -> None:
    """A decision of today follows the events of then, in one chain."""
    dossiers = dossier_aggregate(load_catalogue(), public_url="", deadline_scale=1.0)
    store = await open_journals(databases["intake"], "dossiers")
    journal = Journal(dossiers, store, SystemEnvironment(), tenant="emmen", key=_key("journal", "intake"))
    outcome = await journal.record(KEPT["waiting"], withdraw(), command("k"))
    assert outcome.state.ending == "withdrawn"
    assert await verify(journal, KEPT["waiting"]) == []


async def test_values_sealed_then_open_now(databases: Databases) -> None:
    """The keys of the vault open under the wrapping keys of then."""
    wrapping = {purpose: base64.b64decode(key) for purpose, key in KEPT["keys"]["vault"].items()}
    vault = Vault(MongoKeyStore(databases[VAULT]), wrapping, SystemEnvironment())
    document = await databases["intake"]["dossiers"].find_one({"_id": KEPT["waiting"]})
    assert document is not None
    sealed = document["events"][0]["data"]["contact"]
    opened = (await vault.open(KEPT["waiting"])).unseal("contact", sealed)
    assert isinstance(opened, dict)
    assert "@" in opened["email"]


async def test_records_and_journals_give_the_kpis_of_then(databases: Databases) -> None:
    """The stream processor's records are read, and a rebuild from the journals counts the same."""
    stored = total(load_record(value.encode()) for value in KEPT["records"].values())
    rebuilt = totals_of(
        [
            entry.received
            for service, collections in JOURNALS.items()
            for name in collections
            for entry in await journal_entries(service, await open_journals(databases[service], name))
        ]
    )
    assert differences(stored, rebuilt) == {}
    told = view([Aggregate(0, "kept", 0, {}, "", rebuilt)], 1, Targets(p50_seconds=0, p90_seconds=0))
    figures = told.model_dump(mode="json", by_alias=True)
    assert {name: figures[name] for name in COMPARED} == KEPT["kpis"]
