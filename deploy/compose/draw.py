"""Draws the secrets of an installation, for compose or for Kubernetes. Prints them and keeps nothing.

`python3 deploy/compose/draw.py env` prints env.example with its empty secrets filled in; `… kubernetes` prints the
Secrets that `deploy/k8s` refers to, for `kubectl apply`. Standard library only: it runs where nothing is installed.
"""

import base64
import json
import secrets
import sys
from pathlib import Path

SERVICES = ("intake", "identity", "payments", "notifications", "analytics")
PURPOSES = ("person", "form", "contact", "evidence", "document")
MONGO_ADDRESS = "mongo:27017"

_EXAMPLE = Path(__file__).with_name("env.example")


def value(name: str) -> str:
    """Return a new value for a secret of this name: a key, or letters and digits that may stand in an address."""
    if name.startswith(("JOURNAL_KEY", "HASH_KEY", "VAULT_KEY")):
        return base64.b64encode(secrets.token_bytes(32)).decode()
    prefix = {"STRIPE_API_KEY": "sk_test_", "STRIPE_WEBHOOK_SECRET": "whsec_"}.get(name, "")
    return prefix + secrets.token_hex(24)


def filled() -> str:
    """Return env.example with every empty value below a line that says `drawn` filled in."""
    lines, drawn = [], False
    for line in _EXAMPLE.read_text(encoding="utf-8").splitlines():
        empty = drawn and line.endswith("=")
        lines.append(f"{line}{value(line[:-1])}" if empty else line)
        drawn = line.startswith(("# drawn", "# --- drawn"))
    return "\n".join(lines) + "\n"


def manifests() -> str:
    """Return the Secrets of `deploy/k8s` as a JSON list, with addresses of the local overlay's MongoDB."""
    passwords = {name: value("") for name in (*SERVICES, "vault", "root", "exporter")}
    drawn: dict[str, dict[str, str]] = {
        service: {
            "MONGODB_URI": _uri(service, passwords[service]),
            "JOURNAL_KEY": value("JOURNAL_KEY"),
            "HASH_KEY": value("HASH_KEY"),
        }
        for service in SERVICES
    }
    drawn["identity"]["REGISTER_TOKEN"] = value("")
    drawn["payments"] |= {name: value(name) for name in ("STRIPE_API_KEY", "STRIPE_WEBHOOK_SECRET")}
    drawn["vault"] = {"MONGODB_URI": _uri("vault", passwords["vault"])}
    drawn["vault"] |= {purpose.upper(): value("VAULT_KEY") for purpose in PURPOSES}
    drawn["mongo"] = {name.upper(): password for name, password in passwords.items()} | {"KEYFILE": value("")}
    items = [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": f"dossierbus-{name}"},
            "type": "Opaque",
            "stringData": data,
        }
        for name, data in drawn.items()
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=2) + "\n"


def _uri(database: str, password: str) -> str:
    return f"mongodb://{database}:{password}@{MONGO_ADDRESS}/{database}?replicaSet=rs0"


if __name__ == "__main__":
    printed = {"env": filled, "kubernetes": manifests}
    if len(sys.argv) != 2 or sys.argv[1] not in printed:
        raise SystemExit("usage: python3 deploy/compose/draw.py env|kubernetes")
    sys.stdout.write(printed[sys.argv[1]]())
