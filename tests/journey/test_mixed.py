"""Many dossiers over all services and endings: what is left behind equals what was sent, exactly."""

import os

from deploy.local.journeys.audit import audit
from deploy.local.journeys.crowd import Crowd, mixed, residents
from deploy.local.journeys.town import Town
from deploy.local.stack import Stack

DOSSIERS = int(os.environ.get("JOURNEY_DOSSIERS", "90"))


async def test_mixed_dossiers_add_up(stack: Stack, town: Town) -> None:
    """Endings, events, the provider's ledger, PDFs, mails and KPIs are exactly those of the journeys played."""
    crowd = Crowd(town, await residents(town))
    await crowd.play(mixed(DOSSIERS, seed=1))
    checks = await audit(stack, town, crowd.played)
    assert not crowd.failures
    assert len(crowd.played) == DOSSIERS
    assert [check for check in checks if not check.ok] == []
