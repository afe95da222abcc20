"""The secrets of one local stack, drawn once, in a file only its owner can read. Never logged or committed."""

import base64
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.local.roles import DATABASES, PURPOSES, SERVICES


@dataclass(frozen=True)
class StackSecrets:
    """Passwords and keys by name. Keys are base64 of 32 bytes; `vault` is by purpose, the rest by service."""

    mongo: dict[str, str]
    vault: dict[str, str]
    journal: dict[str, str]
    hash: dict[str, str]
    tokens: dict[str, str]


def load(path: Path) -> StackSecrets:
    """The secrets in `path`; the file is created with mode 0600 on the first call and never changed afterwards."""
    if not path.exists():
        _write_private(path, json.dumps(asdict(draw()), indent=2))
    return StackSecrets(**json.loads(path.read_text()))


def draw() -> StackSecrets:
    """New secrets for a new stack."""
    purposes = sorted({purpose for listed in PURPOSES.values() for purpose in listed})
    return StackSecrets(
        mongo={user: secrets.token_urlsafe(24) for user in ("root", *DATABASES)},
        vault={purpose: _key() for purpose in purposes},
        journal={service: _key() for service in SERVICES},
        hash={service: _key() for service in SERVICES},
        tokens={
            "register": secrets.token_urlsafe(24),
            "stripe_key": f"sk_test_{secrets.token_hex(16)}",
            "stripe_webhook": f"whsec_{secrets.token_hex(16)}",
            "mongo_keyfile": base64.b64encode(secrets.token_bytes(96)).decode(),
        },
    )


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def _write_private(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)
