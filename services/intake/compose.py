"""Intake's wiring: which parts its processes are made of. Holds no rule."""

from functools import partial

from fastapi import FastAPI

from services.intake.api import actions, casework, catalogue, dossiers, downloads, live, page
from services.intake.api.counter import Counter
from services.intake.catalogue.load import load_catalogue
from services.intake.delays import Delays, prepare_delays
from services.intake.domain import dossier_aggregate
from services.intake.people import People
from services.intake.settings import IntakeSettings
from services.intake.state import Dossier
from services.intake.work import Desk
from shared.contracts.topics import Topic, agency_topic
from shared.journal import Journal
from shared.runtime import Bus
from shared.store.changes import Changes
from shared.store.files import MongoFiles, MongoLedger, MongoTickets
from shared.store.journals import MongoJournalStore
from shared.web.app import create_app


async def open_dossiers(bus: Bus[IntakeSettings]) -> tuple[Journal[Dossier], Desk]:
    """Open the dossiers' journals and what their work needs."""
    services = load_catalogue(bus.settings.catalogue)
    agencies = {agency for service in services.values() for agency in service.agencies()}
    bus.topics = tuple(
        Topic(agency_topic(agency), "intake", (f"agency:{agency}",), ("agency",)) for agency in sorted(agencies)
    )
    settings = bus.settings
    aggregate = dossier_aggregate(services, public_url=settings.public_url, deadline_scale=settings.deadline_scale)
    journal = await bus.journal(aggregate, "dossiers", lookups=("state.applicant", "state.awaiting"))
    bus.prepare(partial(prepare_delays, bus.database, "dossiers"))
    return journal, Desk(services, bus.vault, MongoFiles(bus.database), bus.environment, settings)


async def portal(bus: Bus[IntakeSettings], journal: Journal[Dossier], desk: Desk) -> FastAPI:
    """Return the portal's API."""
    if bus.aliases is None or not isinstance(journal.store, MongoJournalStore):
        raise ValueError("VAULT_MONGODB_URI: expected, intake keeps people's tokens in the vault's database")
    settings = bus.settings
    tickets = MongoTickets(bus.database, bus.environment)
    bus.prepare(tickets.prepare)
    delays = Delays(journal.store, bus.environment)
    counter = Counter(
        dossiers=journal,
        store=journal.store,
        catalogue=desk.catalogue,
        vault=bus.vault,
        people=People(bus.aliases, settings.hash_key, settings.tenant, bus.environment),
        files=desk.files,
        tickets=tickets,
        ledger=MongoLedger(bus.database, bus.environment),
        environment=bus.environment,
        settings=settings,
        delays=delays,
    )
    changes = Changes(bus.database["dossiers"], bus.environment)
    bus.background += [changes.run, delays.run]
    app = create_app("Dossierbus intake", "intake", settings=settings, checks={"storage": bus.ready})
    for router in (
        catalogue.routes(counter),
        dossiers.routes(counter),
        actions.routes(counter),
        downloads.routes(counter),
        casework.routes(counter),
        live.routes(counter, changes),
    ):
        app.include_router(router)
    bus.operate(app, "intake")
    page.mount(app, settings)
    return app


def probes(bus: Bus[IntakeSettings]) -> FastAPI:
    """Return the application of a worker: probes and metrics only."""
    return create_app("Dossierbus intake worker", "intake", settings=bus.settings, checks={"storage": bus.ready})
