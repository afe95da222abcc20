"""The KPI API, its stream, the page's files and the gauges, over a board filled by hand."""

import asyncio
import json
import re

import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, generate_latest

from services.analytics.aggregate import Aggregate
from services.analytics.api import PAGE, routes
from services.analytics.board import Board
from services.analytics.domain import BUCKET_SECONDS, Totals
from services.analytics.meters import KpiCollector
from services.analytics.parity import totals_of
from services.analytics.view import Targets, summed
from shared.auth import declared_access
from shared.metrics import LABELS
from shared.testing.web import connected, problem, settings
from shared.web.app import api_routes, create_app
from tests.unit.analytics_samples import stories


def board_with(*totals: Totals) -> Board:
    """A board that has read one aggregate per partition."""
    board = Board(len(totals), Targets(p50_seconds=300, p90_seconds=1000), caught_up=True)
    for number, found in enumerate(totals):
        board.take(told(number, 1, found))
    return board


def told(partition: int, covered: int, totals: Totals) -> Aggregate:
    """What a worker publishes."""
    return Aggregate(partition, "one", 1, {"intake.events": covered}, "2026-11-21T20:00:00.000Z", totals)


def application(board: Board) -> FastAPI:
    """The api role's application over this board."""
    app = create_app("Analytics", "analytics", settings=settings())
    app.include_router(routes(board))
    return app


async def test_the_api_tells_the_sums() -> None:
    """GET /v1/kpis sums the partitions and says how fresh they are."""
    async with connected(application(board_with({"submitted": 2}, {"submitted": 3}))) as http:
        answer = await http.get("/v1/kpis")
    document = answer.json()
    assert document["dossiers"]["submitted"] == 5
    assert document["asOf"] == "2026-11-21T20:00:00.000Z"
    assert [part["partition"] for part in document["partitions"]] == [0, 1]


async def test_before_everything_is_read_nothing_is_told() -> None:
    """Half of the sums would be wrong figures: 503 with Retry-After until the topic is read."""
    board = board_with({"submitted": 2})
    board.caught_up = False
    async with connected(application(board)) as http:
        for path in ("/v1/kpis", "/v1/kpis/stream"):
            answer = await http.get(path)
            assert answer.status_code == 503
            assert "Retry-After" in answer.headers


async def test_an_older_aggregate_is_dropped() -> None:
    """A late worker's record changes no figure."""
    board = board_with({"submitted": 2})
    board.take(told(0, 0, {"submitted": 1}))
    assert board.kpis().dossiers.submitted == 2


async def test_the_stream_tells_changes_and_ends_when_closed() -> None:
    """The first figures come at once, a change wakes the stream, closing ends it; without change it repeats."""
    board = board_with({"submitted": 2})
    changes = board.changes(pause=0, longest=60)
    await anext(changes)
    waiting = asyncio.ensure_future(anext(changes))
    await asyncio.sleep(0)
    assert not waiting.done()
    board.take(told(0, 2, {"submitted": 3}))
    await asyncio.wait_for(waiting, 1)
    ending = asyncio.ensure_future(anext(changes, "ended"))
    await asyncio.sleep(0)
    board.close()
    assert await asyncio.wait_for(ending, 1) == "ended"


async def test_the_stream_is_server_sent_events() -> None:
    """Each event is named `kpis` and holds what the API tells."""
    board = board_with({"submitted": 2})
    async with connected(application(board)) as http:
        closing = asyncio.ensure_future(_close_soon(board))
        answer = await http.get("/v1/kpis/stream")
        await closing
        expected = (await http.get("/v1/kpis")).json()
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = re.findall(r"event: kpis\ndata: (.*)\n\n", answer.text)
    assert json.loads(events[0]) == expected


async def _close_soon(board: Board) -> None:
    await asyncio.sleep(0)
    board.close()


@pytest.mark.parametrize("path", ["/", *(f"/page/{file.name}" for file in PAGE.iterdir() if file.suffix != ".html")])
async def test_the_page_is_served_under_a_strict_policy(path: str) -> None:
    """Every file of the page has a policy that allows own scripts only, nothing inline."""
    async with connected(application(board_with({}))) as http:
        answer = await http.get(path)
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("name", ["index.html", "..%2Fapi.py", "nothing.js"])
async def test_no_other_file_is_served(name: str) -> None:
    """Only the listed files of the page can be had."""
    async with connected(application(board_with({}))) as http:
        problem(await http.get(f"/page/{name}"), 404, "not-found")


def test_the_page_has_nothing_inline_and_nothing_foreign() -> None:
    """No inline script or style and no other host, so that the policy can be strict."""
    page = (PAGE / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=", page)
    assert "://" not in page


def test_every_text_of_the_page_is_there_in_four_languages() -> None:
    """No text is missing in a language."""
    lines = re.findall(r"^  (\w+): (\[.*\]),$", (PAGE / "texts.js").read_text(), re.MULTILINE)
    assert len(lines) > 30
    assert [name for name, texts in lines if len(json.loads(texts)) != 4 or not all(json.loads(texts))] == []


def test_every_route_says_who_may_call_it() -> None:
    """Each route declares its access."""
    assert all(declared_access(route) for route in api_routes(application(board_with({}))))


def exposed(board: Board) -> str:
    """What Prometheus would scrape."""
    registry = CollectorRegistry()
    registry.register(
        KpiCollector(lambda: summed(board.aggregates()) if board.caught_up else None, lambda: board.kpis().as_of)
    )
    return generate_latest(registry).decode()


def test_kpis_are_gauges_with_known_labels() -> None:
    """Gauges alone, with labels from the closed list (and `le`, as histogram_quantile asks)."""
    text = exposed(board_with(totals_of(*stories(50))))
    assert set(re.findall(r"^# TYPE \S+ (\w+)$", text, re.MULTILINE)) == {"gauge"}
    assert set(re.findall(r'[{,](\w+)="', text)) <= LABELS | {"le"}
    assert "dossierbus_kpi_submitted_dossiers 50.0" in text


def test_buckets_are_cumulative() -> None:
    """Each bucket includes those below it, the last one all."""
    totals = {"decision/dogs/0": 2, "decision/dogs/3": 1, f"decision/dogs/{len(BUCKET_SECONDS)}": 4}
    found = re.findall(r'decision_seconds_dossiers\{.*le="(.*)"\} (\d+)', exposed(board_with(totals)))
    assert [int(count) for _, count in found] == [2, 2, 2] + [3] * (len(BUCKET_SECONDS) - 3) + [7]


def test_a_state_that_is_empty_again_does_not_stay() -> None:
    """A service's status without dossiers is not told from an earlier scrape."""
    board = board_with({"dossiers/dogs/received": 1})
    assert 'status="received"' in exposed(board)
    board.take(told(0, 2, {"dossiers/dogs/completed": 1}))
    assert 'status="received"' not in exposed(board)


def test_before_everything_is_read_no_gauge_is_told() -> None:
    """A scrape during the start shows no figure rather than a wrong one."""
    board = board_with({"submitted": 1})
    board.caught_up = False
    assert "dossierbus_kpi" not in exposed(board)
