"""Talking to an application in memory: settings of a test role, a client, and reading problem documents."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
from fastapi import FastAPI

from shared.settings import CommonSettings
from shared.testing.issuer import AUDIENCE, ISSUER

KEY: Final = b"k" * 32


def settings(**more: Any) -> CommonSettings:
    """Settings of a test role; `more` overrides."""
    key = base64.b64encode(KEY).decode()
    good = {
        "mongodb_uri": "mongodb://127.0.0.1/test",
        "journal_key": key,
        "hash_key": key,
        "oidc_issuer": ISSUER,
        "oidc_audience": AUDIENCE,
    }
    return CommonSettings.model_validate(good | more)


@asynccontextmanager
async def connected(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client that speaks ASGI; a bug must be answered, never raised through."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://counter.example") as http:
        yield http


def problem(response: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    """The problem document, after checking what all of them have in common; AssertionError otherwise."""
    document: dict[str, Any] = response.json()
    expected = (status, "application/problem+json", f"https://dossierbus.org/problems/{slug}", status)
    found = (response.status_code, response.headers["content-type"], document.get("type"), document.get("status"))
    if found != expected or not document.get("title") or not document.get("instance"):
        raise AssertionError(f"expected {expected}, found {found}: {response.text}")
    return document
