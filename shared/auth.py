"""Who calls, and what a route asks of the caller: OIDC bearer tokens, scopes and assurance levels.

Each route carries exactly one of `requires(…)` or `public(reason)`. It never keeps or logs a token; of a token it has
verified it remembers the hash and the caller for half a minute.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, NamedTuple

import httpx
from cachetools import TLRUCache
from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jws import extract_compact
from joserfc.jwt import JWTClaimsRegistry

from shared.environment import Environment
from shared.jwks import IssuerKeys, SigningKey, algorithm_of
from shared.language import Language, supported, texts
from shared.web.problems import AssuranceTooLow, NotAuthenticated, ScopeMissing

LEEWAY_SECONDS: Final = 30
REMEMBERED_SECONDS: Final = 30
REMEMBERED: Final = 10_000
_MAX_TOKEN: Final = 8192
_AGOV: Final = "urn:qa.agov.ch:names:tc:ac:classes:"
_EIDAS: Final = "http://eidas.europa.eu/LoA/"

ASSURANCE: Final[Mapping[str, int]] = {
    # AGOV: self-declared, address checked by letter, passport checked, plus AHV number, E-ID.
    f"{_AGOV}100": 1, f"{_AGOV}200": 2, f"{_AGOV}300": 3, f"{_AGOV}400": 4, f"{_AGOV}500": 4, f"{_AGOV}600": 4,
    # eIDAS (EU) 2015/1502.
    f"{_EIDAS}low": 2, f"{_EIDAS}substantial": 3, f"{_EIDAS}high": 4,
    # BundID: user name and password, ELSTER, eID card.
    "STORK-QAA-Level-1": 1, "STORK-QAA-Level-3": 3, "STORK-QAA-Level-4": 4,
}  # fmt: skip
"""`acr` of a token -> assurance 0..4. A token without a known `acr` counts as 1: signed in, nothing checked."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The verified bearer of a token. `subject` is the issuer's id of the person or system: never log it."""

    subject: str
    scopes: frozenset[str]
    assurance: int
    agency: str | None = None
    languages: tuple[Language, ...] = ()


class _Verified(NamedTuple):
    """Who a verified token speaks for, from when until when that is believed, and by which keys."""

    caller: Caller
    since: float
    until: float
    keys: Mapping[str, SigningKey]


class TokenVerifier:
    """Checks bearer tokens: RS256 or ES256 by the issuer's key, iss, aud, exp, nbf and iat with 30 s of leeway."""

    def __init__(self, issuer: str, audience: str, http: httpx.AsyncClient, environment: Environment) -> None:
        self._keys = IssuerKeys(issuer, http, environment)
        self._environment = environment
        self._verified: TLRUCache[bytes, _Verified] = TLRUCache(
            REMEMBERED, ttu=lambda _digest, verified, _now: verified.until, timer=lambda: environment.now().timestamp()
        )
        self._claims = JWTClaimsRegistry(
            now=lambda: int(environment.now().timestamp()),
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": audience},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
        )

    async def verify(self, token: str) -> Caller:
        """The caller of a token; NotAuthenticated if it is not good, IssuerUnavailable if that cannot be found out."""
        digest, now = hashlib.sha256(token.encode("utf-8", "replace")).digest(), self._environment.now().timestamp()
        known = self._verified.get(digest)
        if known is not None and known.since <= now and known.keys is self._keys.present():
            return known.caller
        claims = await self._checked(token)
        caller = _caller(claims)
        until = min(now + REMEMBERED_SECONDS, claims["exp"])
        self._verified[digest] = _Verified(caller, now, until, self._keys.present())
        return caller

    async def _checked(self, token: str) -> dict[str, Any]:
        try:
            claims = await self._signed(token)
            self._claims.validate(claims)
            # Half a surrogate pair is JSON, but no text that could be hashed or stored.
            json.dumps(claims, ensure_ascii=False).encode()
        except (JoseError, ValueError, TypeError, KeyError):
            raise _not_authenticated("invalid_token") from None
        return claims

    async def _signed(self, token: str) -> dict[str, Any]:
        if len(token) > _MAX_TOKEN:
            raise ValueError("too long")
        kid = extract_compact(token.encode()).protected.get("kid")
        key = await self._keys.find(kid) if isinstance(kid, str) else None
        if key is None:
            raise ValueError("unknown key")
        # The algorithm follows from our key, never from the token: no `none`, no HMAC with a public key.
        return dict(jwt.decode(token, key, algorithms=[algorithm_of(key)]).claims)


def _caller(claims: Mapping[str, Any]) -> Caller:
    scope, agency, locale = claims.get("scope"), claims.get("agency"), claims.get("locale")
    language = supported(locale) if isinstance(locale, str) else None
    acr = claims.get("acr")
    return Caller(
        subject=claims["sub"],
        scopes=frozenset(scope.split()) if isinstance(scope, str) else frozenset(),
        assurance=ASSURANCE.get(acr, 1) if isinstance(acr, str) else 1,
        agency=agency if isinstance(agency, str) and agency else None,
        languages=(language,) if language else (),
    )


_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT", scheme_name="oidc", description="OpenID Connect token")


@dataclass(frozen=True)
class Requires:
    """A dependency: verifies the caller, then asks for any one of `scopes` and at least `assurance`."""

    scopes: frozenset[str]
    assurance: int

    async def __call__(
        self, request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
    ) -> Caller:
        """The caller; 401, 403, or 503 when the issuer cannot be reached."""
        if credentials is None:
            raise _not_authenticated(None)
        verifier: TokenVerifier = request.app.state.verifier
        caller = await verifier.verify(credentials.credentials)
        self.check(caller)
        return caller

    def check(self, caller: Caller) -> None:
        """ScopeMissing or AssuranceTooLow unless the caller may."""
        if self.scopes and not self.scopes & caller.scopes:
            raise _scope_missing(sorted(self.scopes))
        if caller.assurance < self.assurance:
            raise assurance_too_low(self.assurance, caller.assurance)


@dataclass(frozen=True)
class Public:
    """A dependency that does nothing and says why anybody may call the route."""

    reason: str

    async def __call__(self) -> None:
        """Let everybody pass."""


def requires(*scopes: str, assurance: int = 0) -> Requires:
    """What a route asks: ANY ONE of the scopes (none given: any valid token) and an assurance level 0..4.

    `caller: Annotated[Caller, Depends(requires("citizen", assurance=2))]`. For two scopes at once use two dependencies.
    """
    return Requires(frozenset(scopes), assurance)


def public(reason: str) -> Public:
    """Marks a route that anybody may call: `dependencies=[Depends(public("…"))]`; ValueError without a reason."""
    if not reason.strip():
        raise ValueError("say why the route is public")
    return Public(reason)


def declared_access(route: Any) -> tuple[Requires | Public, ...]:
    """What a FastAPI route (or route context) declares; an architecture test wants at least one for each route."""
    found: list[Requires | Public] = []
    pending = [route.dependant]
    while pending:
        dependant = pending.pop()
        if isinstance(dependant.call, Requires | Public):
            found.append(dependant.call)
        pending.extend(dependant.dependencies)
    return tuple(found)


def assurance_too_low(required: int, present: int) -> AssuranceTooLow:
    """The step-up problem, also for rules that only the service knows (a dossier's own level)."""
    return AssuranceTooLow(
        texts(
            f"Nötig ist Vertrauensstufe {required}, die Anmeldung hat {present}. Bitte stärker anmelden.",
            f"Le niveau de garantie {required} est requis, la connexion a le niveau {present}.",
            f"È richiesto il livello di garanzia {required}, l'accesso ha il livello {present}.",
            f"Assurance level {required} is needed, this sign-in has level {present}. Please sign in more strongly.",
        ),
        headers={"WWW-Authenticate": 'Bearer error="insufficient_user_authentication"'},
        extra={"required_assurance": required, "assurance": present},
    )


def _scope_missing(scopes: list[str]) -> ScopeMissing:
    names = ", ".join(scopes)
    return ScopeMissing(
        texts(
            f"Nötig ist eine dieser Berechtigungen: {names}.",
            f"Une de ces autorisations est requise : {names}.",
            f"È richiesta una di queste autorizzazioni: {names}.",
            f"One of these scopes is needed: {names}.",
        ),
        headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{" ".join(scopes)}"'},
        extra={"required_scopes": scopes},
    )


def _not_authenticated(error: str | None) -> NotAuthenticated:
    challenge = "Bearer" if error is None else f'Bearer error="{error}"'
    return NotAuthenticated(
        texts(
            "Erwartet wird ein gültiges Zugriffstoken im Kopf Authorization: Bearer.",
            "Un jeton d'accès valable est attendu dans l'en-tête Authorization: Bearer.",
            "È atteso un token d'accesso valido nell'intestazione Authorization: Bearer.",
            "A valid access token is expected in the header Authorization: Bearer.",
        ),
        headers={"WWW-Authenticate": challenge},
    )
