"""Carries events to the webhook address, signed as Stripe signs them, until they are accepted.

At least once: an event whose acceptance is not recorded before a crash is carried again.
"""

import asyncio
import hashlib
import hmac
import json
import time
from typing import Any

import httpx

from deploy.local.sandbox.psp.objects import new_id
from deploy.local.sandbox.psp.processor import Processor
from deploy.local.sandbox.psp.store import Delivery

LONGEST_WAIT_SECONDS = 30.0
GIVE_UP_SECONDS = 3 * 24 * 3600
_FIRST_WAIT_SECONDS = 0.5
_AT_ONCE = 16


def sign(payload: bytes, secret: str, at: int) -> str:
    """The `Stripe-Signature` header: HMAC-SHA256 over `<at>.<payload>`."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + payload, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


class Courier:
    """The delivery loop, and the forger that tests ask for."""

    def __init__(self, processor: Processor) -> None:
        self._processor = processor
        self._url = processor.settings.webhook_url
        self._secret = processor.settings.stripe_webhook_secret

    async def run(self) -> None:
        """Expire sessions and deliver events until cancelled."""
        store = self._processor.store
        async with httpx.AsyncClient(timeout=10) as client:
            while True:
                if store.overdue_sessions(int(time.time())):
                    self._expire_overdue()
                due = store.due_deliveries(time.time(), _AT_ONCE)
                await asyncio.gather(*(self._deliver(client, delivery) for delivery in due))
                if not due:
                    await asyncio.sleep(0.05)

    def _expire_overdue(self) -> None:
        with self._processor.store.transaction():
            self._processor.expire_overdue()

    async def forge(self, kind: str, body: dict[str, Any], how: str) -> int:
        """Send an event that never happened; returns the receiver's status. `signed` has a right signature."""
        now = int(time.time())
        event = {
            "id": new_id("evt"),
            "object": "event",
            "created": now,
            "data": {"object": body},
            "livemode": False,
            "type": kind,
        }
        payload = json.dumps(event).encode()
        headers = {"Content-Type": "application/json"} | self._forged_signature(payload, how, now)
        async with httpx.AsyncClient(timeout=10) as client:
            return (await client.post(self._url, content=payload, headers=headers)).status_code

    def _forged_signature(self, payload: bytes, how: str, now: int) -> dict[str, str]:
        signatures = {
            "wrong_secret": sign(payload, "whsec_guessed", now),
            "stale": sign(payload, self._secret, now - 3600),
            "tampered": sign(payload + b" ", self._secret, now),
            "signed": sign(payload, self._secret, now),
        }
        return {"Stripe-Signature": signatures[how]} if how in signatures else {}

    async def _deliver(self, client: httpx.AsyncClient, delivery: Delivery) -> None:
        now = time.time()
        payload = delivery.payload.encode()
        headers = {"Content-Type": "application/json", "Stripe-Signature": sign(payload, self._secret, int(now))}
        try:
            answer = await client.post(self._url, content=payload, headers=headers)
            result, accepted = str(answer.status_code), answer.is_success
        except httpx.HTTPError as error:
            result, accepted = type(error).__name__, False
        wait = min(LONGEST_WAIT_SECONDS, _FIRST_WAIT_SECONDS * 2 ** min(delivery.attempts, 10))
        late = now - json.loads(delivery.payload)["created"] > GIVE_UP_SECONDS
        state = "delivered" if accepted else "given_up" if late else "waiting"
        self._processor.store.note_attempt(delivery.number, state, time.time() + wait, result)
