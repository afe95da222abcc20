"""An OpenID issuer in memory: real keys, real signatures, no network. It can be down, rotate its keys, be counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from shared.auth import TokenVerifier
from shared.environment import Environment

ISSUER: Final = "https://login.emmen.example"
AUDIENCE: Final = "dossierbus"
AGOV_LEVEL: Final = "urn:qa.agov.ch:names:tc:ac:classes:{}"


class FakeIssuer:
    """Issues tokens by its clock and serves discovery and keys through `transport`."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self.requests = 0
        self.down = False
        self.named = ISSUER
        self.key = ECKey.generate_key("P-256", {"kid": "key-1", "use": "sig"})
        self.transport = httpx.MockTransport(self._answer)

    def rotate(self, kid: str = "key-2") -> None:
        """Replace the signing key."""
        self.key = ECKey.generate_key("P-256", {"kid": kid, "use": "sig"})

    def verifier(self) -> TokenVerifier:
        """A fresh verifier that trusts this issuer, with an empty cache."""
        return TokenVerifier(ISSUER, AUDIENCE, httpx.AsyncClient(transport=self.transport), self._environment)

    def claims(self, subject: str, scopes: Sequence[str], level: int = 300, **more: Any) -> dict[str, Any]:
        """The claims of a good token for an hour; `more` overrides, None removes."""
        now = int(self._environment.now().timestamp())
        good = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "scope": " ".join(scopes),
            "acr": AGOV_LEVEL.format(level),
            "iat": now,
            "exp": now + 3600,
            **more,
        }
        return {name: value for name, value in good.items() if value is not None}

    def token(self, subject: str = "lea", scopes: Sequence[str] = ("citizen",), level: int = 300, **more: Any) -> str:
        """A signed token; `level` is AGOV's 100 to 600."""
        claims = self.claims(subject, scopes, level, **more)
        return jwt.encode({"alg": "ES256", "kid": self.key.kid}, claims, self.key)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        if self.down:
            raise httpx.ConnectError("refused", request=request)
        if request.url.path == "/.well-known/openid-configuration":
            return httpx.Response(200, json={"issuer": self.named, "jwks_uri": f"{ISSUER}/keys"})
        return httpx.Response(200, json=KeySet([self.key]).as_dict(private=False))
