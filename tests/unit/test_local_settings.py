"""The settings a local stack gives to each role: enough to work, and nothing of another service."""

import json
from pathlib import Path

import pytest

from deploy.local.mongo import MongoSettings
from deploy.local.role_environment import Settings, role_environment, sandbox_environment
from deploy.local.roles import DATABASES, ROLES, SANDBOXES
from deploy.local.secrets_file import draw
from shared.settings import CommonSettings

SECRETS = draw()


def _settings(kind: str = "kafka", overrides: dict[str, str] | None = None) -> Settings:
    root = Path("/tmp/stack")  # noqa: S108 - never written to
    return Settings(root, 20000, kind, SECRETS, MongoSettings(root / "mongo", 20092, SECRETS), overrides or {})


@pytest.mark.parametrize("name", ROLES)
def test_common_settings_accept_what_a_role_is_given(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every role's environment is complete and valid for the settings all services share."""
    for variable, value in role_environment(_settings(), name).items():
        monkeypatch.setenv(variable, value)
    settings = CommonSettings()
    assert settings.kafka_bootstrap_servers == "127.0.0.1:20090"
    assert set(settings.vault_keys) == set(ROLES[name].purposes)


@pytest.mark.parametrize("name", ROLES)
def test_a_role_sees_no_other_database(name: str) -> None:
    """Of all database passwords a role is given its own, and the vault's only if it may open something."""
    text = json.dumps(role_environment(_settings(), name))
    seen = {database for database in (*DATABASES, "root") if SECRETS.mongo[database] in text}
    assert seen == {ROLES[name].service, *(["vault"] if ROLES[name].purposes else [])}


@pytest.mark.parametrize("name", ROLES)
def test_a_role_sees_no_foreign_key(name: str) -> None:
    """Journal, hash and wrapping keys of other services and purposes are not in a role's environment."""
    text = json.dumps(role_environment(_settings(), name))
    service = ROLES[name].service
    foreign = [key for keys in (SECRETS.journal, SECRETS.hash) for owner, key in keys.items() if owner != service]
    foreign += [key for purpose, key in SECRETS.vault.items() if purpose not in ROLES[name].purposes]
    assert not [key for key in foreign if key in text]


def test_purposes_follow_the_data_map() -> None:
    """Notifications may open the contact alone, payments and analytics nothing."""
    assert ROLES["notifications-worker"].purposes == ("contact",)
    assert ROLES["payments-api"].purposes == ROLES["analytics-worker"].purposes == ()
    assert set(ROLES["identity-reuse"].purposes) == {"person", "evidence"}


def test_embedded_broker_runs_without_idempotence() -> None:
    """The embedded broker cannot do idempotent producers; Kafka can."""
    values = [role_environment(_settings(kind), "intake-api")["KAFKA_IDEMPOTENCE"] for kind in ("kafka", "embedded")]
    assert values == ["true", "false"]


def test_partitions_of_the_embedded_broker() -> None:
    """Kafka has 6 partitions a topic; the embedded broker makes 4 whenever it is asked about a missing topic."""
    values = [role_environment(_settings(kind), "intake-api")["KAFKA_PARTITIONS"] for kind in ("kafka", "embedded")]
    assert values == ["6", "4"]


def test_overrides_win() -> None:
    """What a test asks for replaces what is derived, for roles and sandboxes."""
    settings = _settings(overrides={"DEADLINE_SCALE": "0.1", "HTTP_HOST": "127.0.0.2"})
    assert role_environment(settings, "intake-api")["DEADLINE_SCALE"] == "0.1"
    assert sandbox_environment(settings, "oidc")["HTTP_HOST"] == "127.0.0.2"


def test_sandboxes_and_services_agree() -> None:
    """Issuer, register token, PSP secret and mail port are the same on both sides."""
    settings = _settings()
    sandboxes = {name: sandbox_environment(settings, name) for name in SANDBOXES}
    intake, identity, payments, notifications = (
        role_environment(settings, f"{service}-api" if service != "identity" else "identity-worker")
        for service in ("intake", "identity", "payments", "notifications")
    )
    assert intake["OIDC_ISSUER"] == sandboxes["oidc"]["ISSUER"] == "http://127.0.0.1:20102"
    assert identity["REGISTER_TOKEN"] == sandboxes["register"]["REGISTER_TOKEN"]
    assert payments["STRIPE_WEBHOOK_SECRET"] == sandboxes["psp"]["STRIPE_WEBHOOK_SECRET"]
    assert notifications["SMTP_PORT"] == sandboxes["mail"]["SMTP_PORT"] == "20125"


def test_foreign_variables_stay_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own KAFKA_… or AWS_… variable does not reach a role."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "mine")
    monkeypatch.setenv("KAFKA_CLIENT_ID", "mine")
    assert "mine" not in role_environment(_settings(), "intake-api").values()
