"""Routes that read other bodies than strict JSON: listed by path and media type, everything else stays strict."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import Depends, Request

from shared.auth import public
from shared.testing.environment import FakeEnvironment
from shared.testing.issuer import FakeIssuer
from shared.testing.web import connected, problem, settings
from shared.web.app import create_app
from shared.web.body import MAX_BODY_BYTES


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application with one raw and one ordinary route."""
    verifier = FakeIssuer(FakeEnvironment()).verifier()
    raw = {"/v1/files": ("application/xml", "text/xml")}
    app = create_app("Test", "payments", settings=settings(http_body_seconds=0.2), verifier=verifier, raw_bodies=raw)

    @app.post("/v1/files", dependencies=[Depends(public("a test"))])
    async def files(request: Request) -> dict[str, int]:
        return {"size": len(await request.body())}

    @app.post("/v1/other", dependencies=[Depends(public("a test"))])
    async def other(request: Request) -> dict[str, int]:
        return {"size": len(await request.body())}

    async with connected(app) as http:
        yield http


@pytest.mark.parametrize("media_type", ["application/xml", "text/xml; charset=UTF-8", "Application/XML"])
async def test_a_listed_media_type_arrives_byte_by_byte(media_type: str, client: httpx.AsyncClient) -> None:
    """What is no JSON at all reaches the route unchanged."""
    answer = await client.post("/v1/files", content=b"<a>\xff</a>", headers={"Content-Type": media_type})
    assert answer.json() == {"size": 8}


async def test_another_media_type_is_refused_by_name(client: httpx.AsyncClient) -> None:
    """JSON is not XML; the answer says what the route reads."""
    answer = await client.post("/v1/files", json={}, headers={"Accept-Language": "en"})
    assert problem(answer, 415, "unsupported-media-type")["detail"].endswith("application/xml, text/xml.")
    assert answer.headers["Accept"] == "application/xml, text/xml"


async def test_size_is_limited_all_the_same(client: httpx.AsyncClient) -> None:
    """A raw body may have 1 MiB like any other."""
    body = b"x" * (MAX_BODY_BYTES + 1)
    problem(await client.post("/v1/files", content=body, headers={"Content-Type": "text/xml"}), 413, "too-large")


async def test_other_routes_stay_strict(client: httpx.AsyncClient) -> None:
    """The exception is for one path only."""
    answer = await client.post("/v1/other", content=b"<a/>", headers={"Content-Type": "application/xml"})
    problem(answer, 415, "unsupported-media-type")


@pytest.mark.parametrize("path", ["/v1/files", "/v1/other"])
async def test_a_body_that_does_not_come_whole_is_given_up(path: str, client: httpx.AsyncClient) -> None:
    """408 in the caller's language, and the connection is closed: it holds a place of the role."""

    async def dripping() -> AsyncIterator[bytes]:
        yield b"<a"
        await asyncio.Event().wait()

    answer = await client.post(path, content=dripping(), headers={"Content-Type": "text/xml", "Accept-Language": "it"})
    assert problem(answer, 408, "request-timeout")["detail"] == "La richiesta non è arrivata per intero in tempo."
    assert answer.headers["connection"] == "close"
