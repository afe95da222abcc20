"""Settings have one name: what the local deployment sets is what the code reads, and the other way round."""

import importlib
from functools import cache
from pathlib import Path

import pytest

from deploy.local import secrets_file
from deploy.local.mongo import MongoSettings
from deploy.local.role_environment import Settings, inherited, role_environment, sandbox_environment
from deploy.local.roles import PURPOSES, ROLES, SANDBOXES
from tests.contract.roles import service

PROCESS = {"DATA_DIR", "PYTHONUNBUFFERED"}
"""Read by the supervisor and the interpreter, not by a service."""

DEFAULTED: dict[str, str] = {
    "vault_mongodb_uri": "only services that open the vault are given it",
    "vault_keys": "only services that open the vault are given them",
    "vault_other_keys": "only while wrapping keys are rotated",
    "kafka_tls": "a machine talks to itself",
    "kafka_ca_file": "same",
    "kafka_username": "same",
    "kafka_password": "same",
    "kafka_session_timeout_ms": "for slow machines and tests",
    "parity_seconds": "an hour suits every installation",
    "parity_repair": "on one machine people look first",
    "http_connections": "the same limit everywhere",
    "http_requests": "the same limit everywhere",
    "http_requests_per_caller": "the same limit everywhere",
    "http_body_seconds": "the same limit everywhere",
    "drain_seconds": "on one machine there is no other replica to go to",
    "municipality": "the default is the sample town",
    "catalogue": "a town's own services beside those shipped",
    "creditor_name": "intake prints bills; the default is the sample town",
    "creditor_street": "same",
    "creditor_house_number": "same",
    "creditor_postcode": "same",
    "creditor_town": "same",
    "qr_iban": "same: the sample account of the QR-bill guidelines",
    "qr_tenant_no": "one town needs no other number",
    "poll_first_seconds": "the default suits a person at the screen",
    "smtp_username": "the local mail sink asks for no login",
    "smtp_password": "same",
    "smtp_starttls": "the local mail sink speaks no TLS",
    "kpi_overlap": "tuning",
    "kpi_publish_seconds": "tuning",
    "kpi_target_p50_seconds": "a promise of the town, not of a machine",
    "kpi_target_p90_seconds": "same",
}
"""Settings that a local stack may leave to their defaults, each with a reason."""


@cache
def _stack() -> Settings:
    secrets = secrets_file.draw()
    root = Path("/nowhere")
    return Settings(root, 20_000, "kafka", secrets, MongoSettings(root, 20_001, secrets))


@cache
def _environment(role: str) -> dict[str, str]:
    return role_environment(_stack(), role)


@pytest.mark.parametrize("name", ROLES)
def test_what_is_set_is_read(name: str) -> None:
    """A variable that a role is started with is a field of its settings: no name is misspelt or left over."""
    fields = {field.upper() for field in service(ROLES[name].service).settings.model_fields}
    assert set(_environment(name)) - set(inherited()) - PROCESS - fields == set()


@pytest.mark.parametrize("name", ROLES)
def test_what_is_read_is_set(name: str) -> None:
    """A field of a role's settings is set by the local stack, or it is said why its default is right there."""
    fields = set(service(ROLES[name].service).settings.model_fields)
    unset = {field for field in fields if field.upper() not in _environment(name)}
    assert unset - set(DEFAULTED) == set()


@pytest.mark.parametrize("name", ROLES)
def test_a_role_starts_with_what_it_is_given(name: str) -> None:
    """The environment of a local stack is complete and valid."""
    kind = service(ROLES[name].service).settings
    given = {key.lower(): value for key, value in _environment(name).items() if key.lower() in kind.model_fields}
    kind.model_validate(given)


SANDBOX_SETTINGS = {
    "psp": "psp.processor:PspSettings",
    "register": "register.api:RegisterSettings",
    "oidc": "oidc.api:OidcSettings",
    "mail": "mail.sink:MailSettings",
    "collector": "collector.api:CollectorSettings",
}


UNREAD: dict[tuple[str, str], str] = {
    ("psp", "PUBLIC_URL"): "says the same as HTTP_HOST and HTTP_PORT, which are read",
    ("mail", "SMTP_HOST"): "says the same as HTTP_HOST, which is read",
}
"""What a stand-in is given and does not read, each with the reason why that is harmless."""


@pytest.mark.parametrize("name", SANDBOXES)
def test_what_a_sandbox_is_given_is_read(name: str) -> None:
    """A variable that a stand-in is started with is a field of its settings."""
    module, _, kind = SANDBOX_SETTINGS[name].partition(":")
    fields = getattr(importlib.import_module(f"deploy.local.sandbox.{module}"), kind).model_fields
    given = set(sandbox_environment(_stack(), name)) - set(inherited()) - {"PYTHONUNBUFFERED"}
    unread = {variable for variable in given if variable.lower() not in fields}
    assert unread == {variable for sandbox, variable in UNREAD if sandbox == name}


def test_reasons_are_needed() -> None:
    """A reason for a setting that nobody reads is removed."""
    read = {field for role in ROLES.values() for field in service(role.service).settings.model_fields}
    assert set(DEFAULTED) - read == set()


@pytest.mark.parametrize("name", sorted(PURPOSES))
def test_only_intake_is_given_every_key_of_the_vault(name: str) -> None:
    """A service gets the wrapping keys of the purposes it may open and of no other."""
    listed = {
        "intake": {"person", "form", "contact", "evidence", "document"},
        "identity": {"person", "evidence"},
        "notifications": {"contact"},
    }
    assert set(PURPOSES[name]) == listed.get(name, set())
    assert ("VAULT_KEYS" in _environment(f"{name}-api")) == bool(PURPOSES[name])
