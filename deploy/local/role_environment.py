"""The settings each process of a local stack is started with. A pure function of ports and secrets; reads no file.

A service is given only its own database, its own keys and the wrapping keys of the vault purposes it may open.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from deploy.local.mongo import MongoSettings
from deploy.local.ports import detour_of, port_of
from deploy.local.roles import ROLES, Role
from deploy.local.secrets_file import StackSecrets

_HOST = "127.0.0.1"
_CREDITOR = {
    # The sample QR-IBAN of the Swiss payment standards' implementation guidelines: belongs to nobody.
    "QR_IBAN": "CH4431999123000889012",
    "CREDITOR_NAME": "Gemeinde Emmen (Entwicklung)",
    "CREDITOR_STREET": "Rüeggisingerstrasse",
    "CREDITOR_HOUSE_NUMBER": "22",
    "CREDITOR_POSTCODE": "6020",
    "CREDITOR_TOWN": "Emmenbrücke",
}
QUIET: Final = {"LOG_LEVEL": "WARNING", "OTEL_EXPORTER_OTLP_ENDPOINT": ""}
"""Where dossiers are counted or timed: log lines and traces would take the time that belongs to them."""
# What a child process needs from the machine; everything else (a developer's own KAFKA_… variables, say) stays outside.
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "SSL_CERT_FILE", "XDG_CACHE_HOME", "VIRTUAL_ENV")


@dataclass(frozen=True)
class Settings:
    """Everything the environments of one stack are made of. `overrides` win over what is derived.

    `nodes`: how many brokers there are. `detours`: others reach brokers and providers by the fault proxy's ports.
    """

    root: Path
    base_port: int
    broker_kind: str
    secrets: StackSecrets
    mongo: MongoSettings
    overrides: Mapping[str, str] = field(default_factory=dict)
    nodes: int = 1
    detours: bool = False

    def port(self, name: str) -> int:
        """Port of a process of this stack."""
        return port_of(name, self.base_port)

    def url(self, name: str) -> str:
        """Base URL of a process of this stack, without a trailing slash."""
        return f"http://{_HOST}:{self.port(name)}"

    def reached(self, name: str) -> int:
        """The port by which other processes of this stack reach one."""
        return detour_of(name, self.base_port) if self.detours else self.port(name)

    def reached_url(self, name: str) -> str:
        """Base URL by which other processes of this stack reach one."""
        return f"http://{_HOST}:{self.reached(name)}"

    @property
    def bootstrap(self) -> str:
        """Addresses of the brokers, as clients want them."""
        names = ["broker", *(f"broker-{number}" for number in range(2, self.nodes + 1))]
        return ",".join(f"{_HOST}:{self.reached(name)}" for name in names)


def inherited() -> dict[str, str]:
    """The variables of this process that every child gets too."""
    return {name: os.environ[name] for name in _INHERITED if name in os.environ}


def role_environment(settings: Settings, name: str) -> dict[str, str]:
    """The full environment of one role, or as `role+2` of its second replica. Raises KeyError for an unknown role."""
    role = ROLES[name.partition("+")[0]]
    specific = {
        "intake": _intake,
        "identity": _identity,
        "payments": _payments,
        "notifications": _notifications,
        "analytics": _analytics,
    }[role.service](settings)
    return {**inherited(), **_common(settings, role, name), **_vault(settings, role), **specific, **settings.overrides}


def sandbox_environment(settings: Settings, name: str) -> dict[str, str]:
    """The full environment of one sandbox. Raises KeyError for an unknown sandbox."""
    tokens = settings.secrets.tokens
    specific: dict[str, dict[str, str]] = {
        "psp": {
            "WEBHOOK_URL": f"{settings.reached_url('payments-api')}/v1/webhooks/stripe",
            "STRIPE_WEBHOOK_SECRET": tokens["stripe_webhook"],
            "STRIPE_API_KEY": tokens["stripe_key"],
            "PUBLIC_URL": settings.url("psp"),
        },
        "register": {"REGISTER_TOKEN": tokens["register"]},
        "oidc": {"ISSUER": settings.url("oidc")},
        "mail": {"SMTP_HOST": _HOST, "SMTP_PORT": str(settings.port("smtp"))},
        "collector": {},
    }
    common = {
        "HTTP_HOST": _HOST,
        "HTTP_PORT": str(settings.port(name)),
        "DATA_DIR": str(settings.root / "sandbox" / name),
        "PYTHONUNBUFFERED": "1",
    }
    return {**inherited(), **common, **specific[name], **settings.overrides}


def _common(settings: Settings, role: Role, name: str) -> dict[str, str]:
    keys = settings.secrets
    return {
        "TENANT": "emmen",
        "ENVIRONMENT": "development",
        "HTTP_HOST": _HOST,
        "HTTP_PORT": str(settings.port(name)),
        "LOG_LEVEL": "INFO",
        "KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap,
        # Asking the embedded broker about a missing topic creates it, always with 4 partitions.
        "KAFKA_PARTITIONS": "6" if settings.broker_kind == "kafka" else "4",
        "KAFKA_REPLICATION": str(settings.nodes),
        "KAFKA_CREATE_TOPICS": "true",
        "KAFKA_IDEMPOTENCE": "true" if settings.broker_kind == "kafka" else "false",
        "MONGODB_URI": settings.mongo.uri(role.service),
        "JOURNAL_KEY": keys.journal[role.service],
        "HASH_KEY": keys.hash[role.service],
        "OIDC_ISSUER": settings.url("oidc"),
        "OIDC_AUDIENCE": "dossierbus",
        "OTEL_EXPORTER_OTLP_ENDPOINT": settings.url("collector"),
        "OTEL_SERVICE_NAME": role.service,
        "PUBLIC_URL": settings.url("intake-api"),
        "DEADLINE_SCALE": "1.0",
        "DATA_DIR": str(settings.root / "data" / name),
        "PYTHONUNBUFFERED": "1",
    }


def _vault(settings: Settings, role: Role) -> dict[str, str]:
    if not role.purposes:
        return {}
    keys = {purpose: settings.secrets.vault[purpose] for purpose in role.purposes}
    return {"VAULT_MONGODB_URI": settings.mongo.uri("vault"), "VAULT_KEYS": json.dumps(keys)}


def _intake(_: Settings) -> dict[str, str]:
    return {"REFERENCE_PAGE": "true", **_CREDITOR}


def _identity(settings: Settings) -> dict[str, str]:
    return {"REGISTER_URL": settings.reached_url("register"), "REGISTER_TOKEN": settings.secrets.tokens["register"]}


def _payments(settings: Settings) -> dict[str, str]:
    tokens = settings.secrets.tokens
    return {
        "STRIPE_API_BASE": settings.reached_url("psp"),
        "STRIPE_API_KEY": tokens["stripe_key"],
        "STRIPE_WEBHOOK_SECRET": tokens["stripe_webhook"],
        **_CREDITOR,
    }


def _notifications(settings: Settings) -> dict[str, str]:
    return {
        "SMTP_HOST": _HOST,
        "SMTP_PORT": str(settings.reached("smtp")),
        "MAIL_FROM": "schalter@emmen.example",
        "MAIL_DOMAIN": "emmen.example",
    }


def _analytics(_: Settings) -> dict[str, str]:
    return {}
