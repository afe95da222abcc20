"""The authorization-code flow (RFC 6749, 7636, 9207; OpenID Connect Core 3.1) as plain decisions. No HTTP, no clock."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from deploy.local.sandbox.oidc.accounts import ACR_VALUES

CODE_LIFETIME_SECONDS = 60
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True)
class AuthorizationRequest:
    """What the relying party asked for, already checked."""

    client_id: str
    redirect_uri: str
    scopes: frozenset[str]
    state: str
    nonce: str
    code_challenge: str
    acr_values: tuple[str, ...]


@dataclass(frozen=True)
class Grant:
    """A login that a code stands for."""

    request: AuthorizationRequest
    subject: str
    acr: str
    at: int


class OAuthError(Exception):
    """An OAuth error. `redirect_uri` is empty when the client itself cannot be trusted with the answer."""

    def __init__(self, error: str, description: str, redirect_uri: str = "", state: str = "") -> None:
        super().__init__(description)
        self.error = error
        self.description = description
        self.redirect_uri = redirect_uri
        self.state = state


def check_request(values: Mapping[str, str]) -> AuthorizationRequest:
    """The request in `values`, or OAuthError. Redirects go to loopback addresses only; PKCE S256 is a must."""
    target, state = values.get("redirect_uri", ""), values.get("state", "")
    if not values.get("client_id"):
        raise OAuthError("invalid_request", "client_id is missing")
    if urlsplit(target).hostname not in _LOOPBACK or urlsplit(target).scheme not in ("http", "https"):
        raise OAuthError("invalid_request", "redirect_uri must be a loopback address: this is for development")
    scopes = frozenset(values.get("scope", "").split())
    for wrong, error, description in (
        (values.get("response_type") != "code", "unsupported_response_type", "response_type must be code"),
        ("openid" not in scopes, "invalid_scope", "scope must contain openid"),
        (values.get("code_challenge_method") != "S256", "invalid_request", "code_challenge_method must be S256"),
        (len(values.get("code_challenge", "")) != 43, "invalid_request", "code_challenge must have 43 characters"),
        (values.get("prompt") == "none", "login_required", "nobody stays logged in here"),
    ):
        if wrong:
            raise OAuthError(error, description, target, state)
    wanted = tuple(acr for acr in values.get("acr_values", "").split() if acr in ACR_VALUES)
    return AuthorizationRequest(
        values["client_id"], target, scopes, state, values.get("nonce", ""), values["code_challenge"], wanted
    )


def with_query(address: str, **values: str) -> str:
    """`address` with the non-empty values added to its query."""
    separator = "&" if urlsplit(address).query else "?"
    return address + separator + urlencode({name: value for name, value in values.items() if value})


class Codes:
    """Codes in waiting: each is good once and for a minute, and is spent by a wrong attempt as well."""

    def __init__(self) -> None:
        self._grants: dict[str, Grant] = {}

    def issue(self, grant: Grant) -> str:
        """A new code for the grant; forgets codes long expired."""
        self._grants = {c: g for c, g in self._grants.items() if grant.at - g.at <= CODE_LIFETIME_SECONDS}
        code = secrets.token_urlsafe(32)
        self._grants[code] = grant
        return code

    def redeem(self, values: Mapping[str, str], now: int) -> Grant:
        """The grant of a code for the very client, address and verifier that asked for it, or OAuthError."""
        if values.get("grant_type") != "authorization_code":
            raise OAuthError("unsupported_grant_type", "grant_type must be authorization_code")
        grant = self._grants.pop(values.get("code", ""), None)
        if grant is None or now - grant.at > CODE_LIFETIME_SECONDS:
            raise OAuthError("invalid_grant", "code is unknown, used or expired")
        request = grant.request
        if (values.get("client_id"), values.get("redirect_uri")) != (request.client_id, request.redirect_uri):
            raise OAuthError("invalid_grant", "client_id or redirect_uri differs from the authorization request")
        digest = hashlib.sha256(values.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if not hmac.compare_digest(challenge, request.code_challenge):
            raise OAuthError("invalid_grant", "code_verifier does not match code_challenge")
        return grant
