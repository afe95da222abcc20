"""The provider's own list beside the payments: what webhooks and polls lost is found there and recorded once."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from services.payments.ledger import StripeLedger
from services.payments.parity import LedgerParity
from services.payments.psp import client_of
from tests.integration.payments_office import Office, open_office
from tests.unit.sample_journal import QuickEnvironment


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    """The service and its processor."""
    async with open_office(tmp_path) as opened:
        yield opened


@pytest.fixture
async def parity(office: Office) -> AsyncIterator[LedgerParity]:
    """The comparison, over the same client."""
    async with httpx.AsyncClient() as http:
        yield LedgerParity(office.payments, StripeLedger(client_of(office.settings, http)), QuickEnvironment())


async def test_books_that_agree_have_no_drift(office: Office, parity: LedgerParity) -> None:
    """Paid, declined, open and by bill."""
    paid, session = await office.checkout()
    await office.act(session, "pay")
    await office.until(paid, "succeeded")
    await office.checkout("twint")
    await office.request("invoice")
    assert await parity.find(None) == []


async def test_a_payment_that_nobody_told_us_of_is_recorded_once(office: Office, parity: LedgerParity) -> None:
    """No webhook came and no poll looked: the list says it is paid; a second repair changes nothing."""
    payment, session = await office.checkout()
    await office.faults(drop_webhooks=100)
    await office.act(session, "pay")
    drifts = await parity.find(None)
    assert [(drift.subject, drift.text, drift.repairable) for drift in drifts] == [
        (payment, "paid at the provider, not here", True)
    ]
    assert await parity.repair(drifts, None) == 1
    assert await office.words(payment) == ["payment_opened", "checkout_created", "payment_succeeded"]
    assert await parity.find(None) == []
    assert await parity.repair(drifts, None) == 0
    assert (await office.words(payment)).count("payment_succeeded") == 1


async def test_what_only_people_can_mend_is_told(office: Office, parity: LedgerParity) -> None:
    """A checkout of a payment that nobody asked for; nothing is recorded for it."""
    payment, session = await office.checkout()
    await office.act(session, "pay")
    await office.until(payment, "succeeded")
    forgotten = office.store.documents.pop(payment)
    drifts = await parity.find(None)
    assert [(drift.subject, drift.repairable) for drift in drifts] == [(payment, False)]
    assert await parity.repair(drifts, None) == 0
    office.store.documents[payment] = forgotten
    assert await parity.find(None) == []
