"""The provider's HTTP side: discovery, keys, authorize with a login page, token, userinfo, and tokens for tests.

Never grants a role that an account does not have, except at `/sandbox/token`, which is for tests and traffic.
"""

import secrets
import time
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from deploy.local.sandbox.base import build_app, choose_language, page
from deploy.local.sandbox.faults import FaultBox, Faults
from deploy.local.sandbox.oidc.accounts import (
    ACR_VALUES,
    IDENTITY_SCOPES,
    accounts,
    find_account,
    identity_claims,
)
from deploy.local.sandbox.oidc.flow import AuthorizationRequest, Codes, Grant, OAuthError, check_request, with_query
from deploy.local.sandbox.oidc.keys import ALGORITHM, SigningKeys
from deploy.local.sandbox.oidc.texts import LOGIN
from deploy.local.sandbox.settings import SandboxSettings

TOKEN_LIFETIME_SECONDS = 3600
AUDIENCE = "dossierbus"
_NO_STORE = {"Cache-Control": "no-store"}


class OidcSettings(SandboxSettings):
    """`ISSUER` defaults to the address the provider listens on."""

    http_port: int = 8202
    issuer: str = ""


class TokenOrder(BaseModel):
    """What `POST /sandbox/token` takes. `claims` win over everything, so that tests can have wrong tokens too."""

    model_config = ConfigDict(extra="forbid")

    sub: str
    scopes: list[str] = []
    acr: str = ACR_VALUES[0]
    claims: dict[str, Any] = {}
    expires_in: int = Field(default=TOKEN_LIFETIME_SECONDS, ge=-86_400, le=86_400)
    audience: str = AUDIENCE


class Provider:
    """The issuer: its name, keys and codes in waiting."""

    def __init__(self, settings: OidcSettings) -> None:
        self.issuer = (settings.issuer or settings.origin()).rstrip("/")
        self.keys = SigningKeys(settings.data_dir)
        self.codes = Codes()

    def access_token(self, order: TokenOrder) -> str:
        """A signed access token (RFC 9068) for the order."""
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": order.audience,
            "sub": order.sub,
            "scope": " ".join(order.scopes),
            "acr": order.acr,
            "iat": now,
            "exp": now + order.expires_in,
            "jti": secrets.token_hex(16),
        }
        return self.keys.sign(claims | order.claims, "at+jwt")

    def tokens_for(self, grant: Grant) -> dict[str, Any]:
        """The token response of a login: scopes are what was asked for and the account may have."""
        account = find_account(grant.subject)
        if account is None:
            raise OAuthError("invalid_grant", "the account is gone")
        scopes = grant.request.scopes & (IDENTITY_SCOPES | {account.role})
        now = int(time.time())
        identity = {
            "iss": self.issuer,
            "aud": grant.request.client_id,
            "iat": now,
            "exp": now + TOKEN_LIFETIME_SECONDS,
            "auth_time": grant.at,
            **({"nonce": grant.request.nonce} if grant.request.nonce else {}),
            **identity_claims(account, scopes, grant.acr),
        }
        extra = account.claims | {"client_id": grant.request.client_id}
        order = TokenOrder(sub=grant.subject, scopes=sorted(scopes), acr=grant.acr, claims=extra)
        return {
            "access_token": self.access_token(order),
            "id_token": self.keys.sign(identity, "JWT"),
            "token_type": "Bearer",
            "expires_in": TOKEN_LIFETIME_SECONDS,
            "scope": " ".join(sorted(scopes)),
        }

    def discovery(self) -> dict[str, Any]:
        """OpenID Connect Discovery 1.0."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/jwks",
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
            "token_endpoint_auth_methods_supported": ["none"],
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": sorted(IDENTITY_SCOPES | {"citizen", "caseworker", "operator", "operations", "agency"}),
            "acr_values_supported": list(ACR_VALUES),
            "ui_locales_supported": ["de", "fr", "it", "en"],
            "authorization_response_iss_parameter_supported": True,
        }


def create_app(settings: OidcSettings) -> FastAPI:
    """The provider as an ASGI app; its key file lies in `settings.data_dir`."""
    provider = Provider(settings)
    app = build_app("Sandbox OpenID provider", FaultBox(Faults))
    _add_documents(app, provider)
    _add_login(app, provider)
    _add_token(app, provider)
    return app


def _add_documents(app: FastAPI, provider: Provider) -> None:
    @app.get("/.well-known/openid-configuration")
    async def discovery() -> JSONResponse:
        return JSONResponse(provider.discovery())

    @app.get("/jwks")
    async def jwks() -> JSONResponse:
        return JSONResponse(provider.keys.published())

    @app.post("/sandbox/token")
    async def token_for_tests(order: TokenOrder) -> JSONResponse:
        return JSONResponse({"access_token": provider.access_token(order)}, headers=_NO_STORE)

    @app.post("/sandbox/keys/rotate")
    async def rotate() -> dict[str, str]:
        return {"kid": provider.keys.rotate()}

    @app.get("/sandbox/accounts")
    async def list_accounts() -> dict[str, Any]:
        listed = [{"sub": a.subject, "name": a.name, "role": a.role} for a in accounts()]
        return {"accounts": listed}


def _add_login(app: FastAPI, provider: Provider) -> None:
    @app.get("/authorize")
    async def authorize(request: Request) -> Response:
        values = dict(request.query_params)
        language = choose_language(values.get("ui_locales"), request.headers.get("accept-language"))
        try:
            asked = check_request(values)
        except OAuthError as error:
            return _refuse(provider, error, language)
        levels = [(acr, acr.rsplit(":", 1)[1]) for acr in ACR_VALUES]
        return page(
            "login.html",
            language=language,
            text=LOGIN[language],
            accounts=accounts(),
            levels=levels,
            wanted=asked.acr_values,
            chosen=asked.acr_values[0] if asked.acr_values else ACR_VALUES[0],
            values=values,
        )

    @app.post("/authorize")
    async def log_in(request: Request) -> Response:
        values = {name: str(value) for name, value in (await request.form()).items()}
        language = choose_language(values.get("ui_locales"), request.headers.get("accept-language"))
        try:
            asked = check_request(values)
            _check_answer(asked, values)
        except OAuthError as error:
            return _refuse(provider, error, language)
        code = provider.codes.issue(Grant(asked, values["sub"], values["acr"], int(time.time())))
        target = with_query(asked.redirect_uri, code=code, state=asked.state, iss=provider.issuer)
        return RedirectResponse(target, 303, _NO_STORE)


def _check_answer(asked: AuthorizationRequest, values: dict[str, str]) -> None:
    if values.get("answer") == "cancel":
        raise OAuthError("access_denied", "the person cancelled", asked.redirect_uri, asked.state)
    if find_account(values.get("sub", "")) is None or values.get("acr") not in ACR_VALUES:
        raise OAuthError("invalid_request", "unknown person or level", asked.redirect_uri, asked.state)


def _refuse(provider: Provider, error: OAuthError, language: str) -> Response:
    if error.redirect_uri:
        target = with_query(
            error.redirect_uri,
            error=error.error,
            error_description=error.description,
            state=error.state,
            iss=provider.issuer,
        )
        return RedirectResponse(target, 303, _NO_STORE)
    return page("refused.html", 400, language=language, text=LOGIN[language], reason=error.description)


def _add_token(app: FastAPI, provider: Provider) -> None:
    @app.post("/token")
    async def token(request: Request) -> JSONResponse:
        values = {name: str(value) for name, value in (await request.form()).items()}
        try:
            answer = provider.tokens_for(provider.codes.redeem(values, int(time.time())))
        except OAuthError as error:
            body = {"error": error.error, "error_description": error.description}
            return JSONResponse(body, 400, _NO_STORE)
        return JSONResponse(answer, headers=_NO_STORE)

    @app.get("/userinfo")
    async def userinfo(request: Request) -> JSONResponse:
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        claims = provider.keys.read(bearer, provider.issuer, int(time.time())) if scheme.lower() == "bearer" else None
        account = find_account(str(claims["sub"])) if claims else None
        if claims is None or account is None:
            challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            return JSONResponse({"error": "invalid_token"}, 401, challenge)
        scopes = frozenset(str(claims.get("scope", "")).split())
        return JSONResponse(identity_claims(account, scopes, str(claims["acr"])), headers=_NO_STORE)
