"""The sandbox payment processor misbehaving: webhooks repeated, lost and forged, answers lost, outages."""

import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import stripe

from tests.integration.sandbox_psp import KEY, SECRET, Sandbox, running

# Stripe's library hands httpx its body in a way that httpx has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>'.*:DeprecationWarning")


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Sandbox]:
    """A processor with a webhook receiver, both on the loopback interface."""
    async with running(tmp_path) as started:
        yield started


async def test_webhook_is_repeated_until_accepted(sandbox: Sandbox) -> None:
    """A receiver that answers 500 gets the same event again, and no more once it answers 200."""
    sandbox.inbox.status = 500
    session = await sandbox.session()
    sandbox.act(session.id, "pay")
    sandbox.inbox.wait_for(lambda events: len(events) >= 2)
    sandbox.inbox.status = 200
    events = sandbox.inbox.wait_for(lambda events: len(events) >= 3)
    assert len({event.id for event in events}) == 1
    (kept,) = _when(lambda: sandbox.control.get("/sandbox/events").json()["events"], _delivered)
    assert kept["deliveries"][0]["last_result"] == "200"


def _delivered(events: list[dict[str, Any]]) -> bool:
    return all(delivery["state"] == "delivered" for event in events for delivery in event["deliveries"])


def _when(read: Callable[[], Any], done: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + 10
    while not done(value := read()):
        assert time.monotonic() < deadline, value
    return value


async def test_duplicates_and_drops_are_counted(sandbox: Sandbox) -> None:
    """One duplicated event arrives twice under one id; one dropped event never arrives though money moved."""
    sandbox.control.put("/sandbox/faults", json={"duplicate_webhooks": 1})
    sandbox.act((await sandbox.session()).id, "pay")
    first, second = sandbox.inbox.wait_for(lambda events: len(events) == 2)
    assert first.id == second.id
    sandbox.control.put("/sandbox/faults", json={"drop_webhooks": 1})
    silent, loud = await sandbox.session(), await sandbox.session()
    sandbox.act(silent.id, "pay")
    sandbox.act(loud.id, "pay")
    events = sandbox.inbox.wait_for(lambda events: len(events) == 3)
    assert {event.data.object["id"] for event in events[2:]} == {loud.id}
    assert len(sandbox.entries()) == 3


@pytest.mark.parametrize("how", ["wrong_secret", "unsigned", "stale", "tampered"])
async def test_forged_webhooks_fail_verification(sandbox: Sandbox, how: str) -> None:
    """Each kind of forgery reaches the receiver and is refused by Stripe's own verification."""
    session = await sandbox.session()
    answer = sandbox.control.post("/sandbox/forge", json={"session": session.id, "how": how})
    assert answer.json() == {"status": 200}
    ((body, signature),) = sandbox.inbox.deliveries
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(body, signature, SECRET)
    assert sandbox.entries() == []


async def test_lost_answer_is_settled_by_repeating_the_key(sandbox: Sandbox) -> None:
    """After a connection that broke once the work was done, the same key finds the one session made."""
    sandbox.control.put("/sandbox/faults", json={"lose_answers": 1.0})
    with pytest.raises(stripe.APIConnectionError):
        await sandbox.session(key="k1")
    sandbox.control.delete("/sandbox/faults")
    again = await sandbox.session(key="k1")
    sessions = sandbox.control.get("/sandbox/sessions").json()["sessions"]
    assert [session["id"] for session in sessions] == [again.id]


async def test_caller_who_gives_up_has_ordered_all_the_same(sandbox: Sandbox) -> None:
    """A request whose caller timed out is carried out after the hang; repeating its key finds the one session."""
    sandbox.control.put("/sandbox/faults", json={"hang_seconds": 0.6})
    form = {
        "mode": "payment",
        "success_url": "http://127.0.0.1:9/done",
        "line_items[0][price_data][currency]": "chf",
        "line_items[0][price_data][unit_amount]": "2500",
        "line_items[0][price_data][product_data][name]": "Hundesteuer",
    }
    headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": "k1"}
    with pytest.raises(httpx.ReadTimeout):
        sandbox.control.post("/v1/checkout/sessions", data=form, headers=headers, timeout=0.2)
    (made,) = _when(lambda: sandbox.control.get("/sandbox/sessions").json()["sessions"], bool)
    sandbox.control.delete("/sandbox/faults")
    again = sandbox.control.post("/v1/checkout/sessions", data=form, headers=headers)
    assert again.json()["id"] == made["id"]


async def test_outage_raises_an_api_error(sandbox: Sandbox) -> None:
    """An asked-for 503 is an APIError to Stripe's library, and nothing is made."""
    sandbox.control.put("/sandbox/faults", json={"error_rate": 1.0, "status": 503})
    with pytest.raises(stripe.APIError):
        await sandbox.session()
    assert sandbox.control.get("/sandbox/sessions").json()["sessions"] == []


async def test_rejection_faults_decline_and_fail_refunds(sandbox: Sandbox) -> None:
    """With `reject` a good card is declined; with `reject_refunds` a refund fails and the ledger keeps the payment."""
    session = await sandbox.session()
    sandbox.control.put("/sandbox/faults", json={"reject": True})
    assert sandbox.act(session.id, "pay").json()["paid"] is False
    sandbox.control.put("/sandbox/faults", json={"reject_refunds": True})
    intent = sandbox.act(session.id, "pay").json()["session"]["payment_intent"]
    assert (await sandbox.stripe.v1.refunds.create_async({"payment_intent": intent})).status == "failed"
    assert [entry["kind"] for entry in sandbox.entries()] == ["payment"]
