"""Who is let in: bounded in all and for one caller, nobody before the opening, probes always."""

import asyncio
from typing import Any, cast

import httpx
import pytest
from fastapi import Depends, FastAPI

from shared.auth import public
from shared.testing.telemetry import recorded_logs
from shared.testing.web import settings
from shared.web.app import create_app
from shared.web.body import MAX_BODY_BYTES
from shared.web.gate import BODY_BYTES, Gate

LIMITS = {"http_requests": 5, "http_requests_per_caller": 2}


class Busy:
    """An application whose one route waits until the test lets it end."""

    def __init__(self) -> None:
        self.gate_open = asyncio.Event()
        self.app: FastAPI = create_app("Test", "test", settings=settings().model_copy(update=LIMITS))
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://test")
        self.inside = 0
        self.app.post("/wait", dependencies=[Depends(public("a test"))])(self.wait)

    @property
    def gate(self) -> Gate:
        """The application's gate."""
        return cast("Gate", self.app.state.gate)

    async def wait(self) -> None:
        """Stay inside."""
        self.inside += 1
        await self.gate_open.wait()

    async def send(self, number: int, **more: Any) -> "list[asyncio.Task[httpx.Response]]":
        """Send requests at once; return when each is inside or answered."""
        tasks = [asyncio.create_task(self.http.post("/wait", **more)) for _ in range(number)]
        before = self.inside
        while self.inside - before + sum(task.done() for task in tasks) < number:  # noqa: ASYNC110 - steps of others
            await asyncio.sleep(0)
        return tasks


async def test_who_is_sent_away_is_counted_at_the_route_that_was_asked_for() -> None:
    """Alerts and boards look at routes: a portal that sends everybody away must not look like an idle one."""
    busy = Busy()
    busy.app.get("/v1/things/{thing}", dependencies=[Depends(public("a test"))])(busy.wait)
    busy.gate.state = "opening"
    with recorded_logs() as lines:
        assert (await busy.http.get("/v1/things/7?name=Lea")).status_code == 503
        assert (await busy.http.get("/v1/nothing/7")).status_code == 503
    requests = [line for line in lines if line["logger"] == "dossierbus.access"]
    assert [(line["route"], line["status"]) for line in requests] == [("/v1/things/{thing}", 503), ("unmatched", 503)]
    assert "things/7" not in str(requests)


async def test_more_than_the_limit_are_sent_away_at_once_and_come_in_later() -> None:
    """Five are inside, three get 503 with Retry-After in the caller's language; when they are out all is well again."""
    busy = Busy()
    tasks = await busy.send(8, headers={"Accept-Language": "fr"})
    away = [task.result() for task in tasks if task.done()]
    assert [(answer.status_code, answer.headers["retry-after"]) for answer in away] == [(503, "2")] * 3
    assert away[0].json()["detail"] == "Trop de requêtes sont en cours."
    busy.gate_open.set()
    assert sorted([answer.status_code for answer in await asyncio.gather(*tasks)]) == [200] * 5 + [503] * 3
    assert (await busy.http.post("/wait")).status_code == 200
    assert (busy.gate.inside, busy.gate.body_bytes) == (0, 0)


async def test_one_caller_leaves_room_for_the_others() -> None:
    """The third request with one token gets 429, not those of another token nor of the anonymous."""
    busy = Busy()
    greedy = await busy.send(3, headers={"Authorization": "Bearer one"})
    other = await busy.send(1, headers={"Authorization": "Bearer two"})
    anonymous = await busy.send(2)
    refused = [task.result() for task in greedy if task.done()]
    assert [(answer.status_code, answer.headers["retry-after"]) for answer in refused] == [(429, "2")]
    assert not any(task.done() for task in other + anonymous)
    busy.gate_open.set()
    await asyncio.gather(*greedy, *other, *anonymous)


@pytest.mark.parametrize("state", ["opening", "open", "leaving"])
async def test_probes_are_answered_whatever_happens(state: str) -> None:
    """Alive and measured to the last; ready only while the role is open, even when nobody else gets in."""
    busy = Busy()
    tasks = await busy.send(5)
    busy.gate.state = cast("Any", state)
    answers = [await busy.http.get(path) for path in ("/health/live", "/metrics", "/health/ready")]
    assert [answer.status_code for answer in answers] == [200, 200, 200 if state == "open" else 503]
    busy.gate_open.set()
    await asyncio.gather(*tasks)


async def test_who_comes_before_the_opening_is_told_when_to_come_back() -> None:
    """503 with Retry-After, and nothing was done."""
    busy = Busy()
    busy.gate.state = "opening"
    answer = await busy.http.post("/wait")
    assert (answer.status_code, answer.headers["retry-after"], busy.inside) == (503, "2", 0)


def test_announced_bodies_are_bounded_together() -> None:
    """Bodies are weighed before they are read: no flood of large ones fills the memory."""
    gate = Gate(requests=1000, per_caller=1000)
    with gate.entered(b"", BODY_BYTES - MAX_BODY_BYTES):
        assert gate.refusal(b"", MAX_BODY_BYTES) is None
        refused = gate.refusal(b"", MAX_BODY_BYTES + 1)
        assert refused is not None
        assert refused[0] == "bodies"
    assert gate.refusal(b"", MAX_BODY_BYTES + 1) is None
