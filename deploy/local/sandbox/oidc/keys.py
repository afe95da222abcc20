"""The provider's signing keys, kept in one file across restarts. Issues and reads its own tokens; knows no people."""

import json
import os
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

ALGORITHM = "ES256"


class SigningKeys:
    """Signs with the newest key; older ones stay published so that their tokens can still be verified."""

    def __init__(self, data_dir: Path) -> None:
        self._file = data_dir / "oidc-keys.json"
        self._keys: list[ECKey] = []
        if self._file.exists():
            self._keys = [ECKey.import_key(key) for key in json.loads(self._file.read_text())]
        else:
            self.rotate()

    def rotate(self) -> str:
        """Add a new key and sign with it from now on; returns its `kid`."""
        key = ECKey.generate_key("P-256", {"use": "sig", "alg": ALGORITHM}, private=True, auto_kid=True)
        self._keys.append(key)
        self._save()
        return str(key.kid)

    def published(self) -> dict[str, Any]:
        """The JWKS document (RFC 7517), public parts only."""
        return {"keys": [key.as_dict(private=False) for key in self._keys]}

    def sign(self, claims: dict[str, Any], kind: str) -> str:
        """A compact JWS; `kind` is the `typ` header (`JWT`, or `at+jwt` of RFC 9068)."""
        key = self._keys[-1]
        header = {"alg": ALGORITHM, "kid": key.kid, "typ": kind}
        return jwt.encode(header, claims, key, algorithms=[ALGORITHM])

    def read(self, token: str, issuer: str, now: int) -> dict[str, Any] | None:
        """The claims of an unexpired token of this issuer, else None."""
        try:
            claims = jwt.decode(token, KeySet(list(self._keys)), algorithms=[ALGORITHM]).claims
            jwt.JWTClaimsRegistry(now=now, iss={"essential": True, "value": issuer}, exp={"essential": True}).validate(
                claims
            )
        except (JoseError, ValueError):
            return None
        return dict(claims)

    def _save(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        scratch = self._file.with_suffix(".tmp")
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as out:
            json.dump([key.as_dict(private=True) for key in self._keys], out)
        scratch.replace(self._file)
