"""The OpenID issuer's signing keys: discovery, cache, refresh. It never accepts a key that a token brings along."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import httpx
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from shared.environment import Environment
from shared.errors import IssuerUnavailable

SigningKey = RSAKey | ECKey

MAX_AGE: Final = timedelta(hours=1)
MIN_INTERVAL: Final = timedelta(seconds=10)
TIMEOUT_SECONDS: Final = 3.0
_ALGORITHM_OF_KEY: Final = {"RSA": "RS256", "EC": "ES256"}


class IssuerKeys:
    """Signing keys by key id. Fetched on first use, after an hour, and (at most every 10 s) for an unknown key id."""

    def __init__(self, issuer: str, http: httpx.AsyncClient, environment: Environment) -> None:
        self._issuer = issuer.rstrip("/")
        self._named = issuer
        self._http = http
        self._environment = environment
        self._keys: dict[str, SigningKey] = {}
        self._fetched_at: datetime | None = None
        self._tried_at: datetime | None = None
        self._failed = False
        self._lock = asyncio.Lock()

    async def find(self, kid: str) -> SigningKey | None:
        """The key of that id, None if the issuer has none; IssuerUnavailable if that cannot be found out."""
        # While one caller renews the keys, others go on with the one they have.
        renewing = kid in self._keys and self._lock.locked()
        if not renewing and (kid not in self._keys or self._older_than(self._fetched_at, MAX_AGE)):
            await self._refresh(kid)
        key = self._keys.get(kid)
        if key is None and self._failed:
            raise IssuerUnavailable("the issuer's keys cannot be fetched")
        return key

    def present(self) -> Mapping[str, SigningKey]:
        """The keys known now: another object once they were fetched again, also if they are the same."""
        return self._keys

    async def _refresh(self, kid: str) -> None:
        async with self._lock:
            fresh = kid in self._keys and not self._older_than(self._fetched_at, MAX_AGE)
            if fresh or not self._older_than(self._tried_at, MIN_INTERVAL):
                return
            self._tried_at = self._environment.now()
            try:
                self._keys = await self._fetch()
            except (httpx.HTTPError, httpx.InvalidURL, IssuerUnavailable, ValueError):
                self._failed = True
            else:
                self._failed, self._fetched_at = False, self._tried_at

    def _older_than(self, moment: datetime | None, age: timedelta) -> bool:
        return moment is None or self._environment.now() - moment >= age

    async def _fetch(self) -> dict[str, SigningKey]:
        document = await self._get(self._issuer + "/.well-known/openid-configuration")
        # OpenID Connect Discovery 4.3: the document must name the very issuer that was asked.
        if document.get("issuer") != self._named:
            raise IssuerUnavailable("the discovery document names another issuer")
        jwks = await self._get(str(document.get("jwks_uri")))
        keys = jwks.get("keys")
        if not isinstance(keys, list):
            raise IssuerUnavailable("the issuer's key set has no keys")
        imported = (_imported(entry) for entry in keys)
        return dict(pair for pair in imported if pair is not None)

    async def _get(self, url: str) -> dict[str, Any]:
        response = await self._http.get(url, timeout=TIMEOUT_SECONDS)
        response.raise_for_status()
        document = response.json()
        if not isinstance(document, dict):
            raise IssuerUnavailable("the issuer answered something else than a JSON object")
        return document


def algorithm_of(key: SigningKey) -> str:
    """The one algorithm that a key of this type may be used with."""
    return _ALGORITHM_OF_KEY[key.key_type]


def _imported(entry: object) -> tuple[str, SigningKey] | None:
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig" or not isinstance(entry.get("kid"), str):
        return None
    algorithm = _ALGORITHM_OF_KEY.get(str(entry.get("kty")))
    if algorithm is None or entry.get("alg", algorithm) != algorithm:
        return None
    try:
        return entry["kid"], RSAKey.import_key(entry) if algorithm == "RS256" else ECKey.import_key(entry)
    except (JoseError, ValueError, TypeError, KeyError):
        return None
