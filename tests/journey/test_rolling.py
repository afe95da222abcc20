"""Every role is replaced while dossiers flow, as a rolling update does it: nobody outside notices."""

import asyncio
import itertools
import os
import time
from collections import Counter
from collections.abc import Sequence

import httpx
import pytest

from deploy.local.journeys.audit import audit
from deploy.local.journeys.crowd import Crowd, mixed, residents
from deploy.local.journeys.town import Town
from deploy.local.roles import ROLES
from deploy.local.stack import Stack
from shared.web.serve import longest_stop
from tests.journey.balancer import balancing
from tests.journey.conftest import DRAIN_SECONDS

DOSSIERS = int(os.environ.get("ROLLING_DOSSIERS", "40"))
TOGETHER = 20
APIS = tuple(name for name in ROLES if name.endswith("-api"))
WORKERS = tuple(name for name in ROLES if name not in APIS)
WAVES = (APIS, WORKERS)


class Counting(httpx.AsyncHTTPTransport):
    """Sends each request once and counts how it ended."""

    def __init__(self) -> None:
        super().__init__()
        self.ended: Counter[str] = Counter()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the caller may ask again, but a failure stays counted."""
        try:
            answer = await super().handle_async_request(request)
        except httpx.TransportError as error:
            self.ended[f"{request.method} {type(error).__name__}"] += 1
            raise
        again = answer.status_code == httpx.codes.TOO_MANY_REQUESTS or answer.status_code >= 500
        self.ended[f"{request.method} {answer.status_code}" if again else "answered"] += 1
        return answer


async def test_no_request_fails_while_every_role_is_replaced(stack: Stack, town: Town) -> None:
    """Two replicas for a while, SIGTERM for the older one, role after role: no failed request, no doubled effect.

    Between callers and replicas stands what a cluster has: connections go to whoever is ready, and nothing is sent
    twice. The provider's webhooks take the same way. Every process ends by itself, with code 0, in time.
    """
    if stack.broker_kind != "kafka":
        pytest.skip("the embedded broker has no group of several members")
    counting = Counting()
    ports = {name: [stack.settings.port(name), stack.settings.port(f"{name}+2")] for name in APIS}
    async with balancing(ports) as balanced, httpx.AsyncClient(transport=counting, timeout=20) as http:
        portal, payments = balanced["intake-api"].address, balanced["payments-api"].address
        direct = Town(portal, payments, town.oidc, town.psp, town.register, http)
        await asyncio.to_thread(_retell, stack, f"{payments}/v1/webhooks/stripe")
        crowd = Crowd(direct, await residents(direct))
        rolling = asyncio.create_task(_roll(stack))
        for part in itertools.count():
            await crowd.play(mixed(TOGETHER, seed=part, hasty=False))
            if rolling.done() and len(crowd.played) >= DOSSIERS:
                break
        slowest = await rolling
        checks = await audit(stack, town, crowd.played)
        await asyncio.to_thread(_retell, stack, f"{stack.url('payments-api')}/v1/webhooks/stripe")
    assert {name: dict(one.wrong) for name, one in balanced.items() if one.wrong} == {}
    assert set(counting.ended) == {"answered"}, counting.ended
    assert len(balanced["intake-api"].connections) == len(balanced["payments-api"].connections) == 2
    assert slowest < longest_stop(float(DRAIN_SECONDS))
    assert not crowd.failures
    assert [check for check in checks if not check.ok] == []


def _retell(stack: Stack, address: str) -> None:
    """Let the provider send its webhooks there."""
    stack.stop_role("psp")
    stack.start_role("psp", {"WEBHOOK_URL": address})


async def _roll(stack: Stack) -> float:
    """Replace every role and bring the first replica back; return the longest time that an end took."""
    times: list[float] = []
    for wave in WAVES:
        times += await _each(stack, wave)
    return max(times)


async def _each(stack: Stack, names: Sequence[str]) -> list[float]:
    return list(await asyncio.gather(*(asyncio.to_thread(_replace, stack, name) for name in names)))


def _replace(stack: Stack, name: str) -> float:
    """Start another replica, end the first, start the first again, end the other; return the longer end's seconds."""
    other = f"{name}+2"
    stack.start_role(other)
    first = _end(stack, name)
    stack.start_role(name)
    return max(first, _end(stack, other))


def _end(stack: Stack, name: str) -> float:
    process, began = stack.process(name), time.monotonic()
    stack.stop_role(name)
    assert process.exit_code == 0, f"{name} ended with {process.exit_code}"
    return time.monotonic() - began
