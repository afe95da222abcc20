"""Intake's processes: `python -m services.intake api|worker`."""

from functools import partial

from services.intake.compose import open_dossiers, portal, probes
from services.intake.handlers import subscriptions
from services.intake.parity import followers
from services.intake.settings import IntakeSettings
from services.intake.waiting import COLLECTION, OPEN, waiting_dossiers
from services.intake.work import performers
from shared.contracts.topics import IDENTITY_EVENTS, NOTIFICATIONS_EVENTS, PAYMENTS_EVENTS
from shared.runtime import Bus, run


async def api(bus: Bus[IntakeSettings]) -> int:
    """Serve the portal; publish what is saved here."""
    dossiers, desk = await open_dossiers(bus)
    return await bus.serve(await portal(bus, dossiers, desk))


async def worker(bus: Bus[IntakeSettings]) -> int:
    """Follow the other services, apply rules, issue documents, keep deadlines, sweep up what was not published."""
    dossiers, desk = await open_dossiers(bus)
    bus.consume("intake", [IDENTITY_EVENTS, PAYMENTS_EVENTS, NOTIFICATIONS_EVENTS], subscriptions(dossiers))
    bus.perform(dossiers, performers(desk))
    bus.prepare(partial(bus.figures.index, COLLECTION, "state.ending", OPEN))
    bus.watch(waiting_dossiers(bus.figures, desk.catalogue, bus.environment))
    bus.compare({"dossiers": dossiers}, followers(dossiers))
    return await bus.serve(probes(bus))


if __name__ == "__main__":
    run("intake", IntakeSettings, {"api": api, "worker": worker})
