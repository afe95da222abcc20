"""README's walk along one dossier, step by step, and its trace through all five services."""

import asyncio
import time

from deploy.local.journeys import books
from deploy.local.journeys.endings import CARD, RESIDENCE
from deploy.local.journeys.town import Citizen, Town
from deploy.local.stack import Stack

SERVICES = {"intake", "identity", "payments", "notifications", "analytics"}
# What the journals of one dossier hold in the end, service by service; the order between services is free.
INTAKE = [
    "dossier_submitted",
    "consent_given",
    "identity_check_requested",
    "evidence_requested",
    "payment_requested",
    "evidence_accepted",
    "dossier_decided",
    "document_issued",
    "dossier_closed",
]
OTHERS = {
    "identity": ["identity_check_opened", "identity_confirmed", "evidence_fetch_opened", "evidence_fetched"],
    "payments": ["payment_opened", "checkout_created", "payment_succeeded"],
}


async def test_the_walk_of_readme(stack: Stack, town: Town) -> None:
    """A residence certificate takes exactly the steps that README walks along."""
    citizen = Citizen(town, (await town.people())[0])
    await citizen.submit(RESIDENCE, {"purpose": "bank", "content": "simple"}, consents=["residence"])
    await citizen.until("evidence_ready")
    await citizen.act("/evidence/residence", {"accepted": True})
    await town.psp_session(await citizen.payable(), "pay", CARD)
    await citizen.until("completed")
    entries = (await books.journals(stack))[citizen.dossier]
    words = {service: [e.recorded.event.word for e in entries if e.service == service] for service in SERVICES}
    assert [word for word in words["intake"] if word in INTAKE] == INTAKE
    for service, expected in OTHERS.items():
        assert sorted(words[service]) == sorted(expected)
    assert await _services_in_trace(stack, entries[0].trace.split("-")[1]) >= SERVICES


async def _services_in_trace(stack: Stack, trace_id: str) -> set[str]:
    """Return the services whose exported spans carry this trace id; exporters send in batches."""
    until = time.monotonic() + 60
    found: set[str] = set()
    while not found >= SERVICES and time.monotonic() < until:
        found = {span["service"] for span in books.spans(stack, trace_id)}
        await asyncio.sleep(0.3)
    return found
