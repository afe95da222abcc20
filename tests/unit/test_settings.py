"""Settings: what is read, what is refused, and that no value is ever shown."""

import base64
import json

import pytest
from pydantic import Field

from shared.settings import CommonSettings, load

KEY = base64.b64encode(b"k" * 32).decode()
GOOD = {
    "MONGODB_URI": "mongodb://intake:hunter2@127.0.0.1/intake",
    "JOURNAL_KEY": KEY,
    "HASH_KEY": KEY,
    "OIDC_ISSUER": "https://login.emmen.example",
}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CommonSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)


def refused(capsys: pytest.CaptureFixture[str], settings_class: type[CommonSettings] = CommonSettings) -> str:
    """Load, expect exit code 2, and give back what was printed."""
    with pytest.raises(SystemExit) as caught:
        load(settings_class)
    assert caught.value.code == 2
    return capsys.readouterr().err


def test_keys_are_decoded_and_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys arrive as 32 bytes; neither keys nor the database password appear in repr()."""
    monkeypatch.setenv("VAULT_KEYS", json.dumps({"form": KEY}))
    monkeypatch.setenv("VAULT_MONGODB_URI", "mongodb://v:geheim@127.0.0.1/vault")
    settings = load(CommonSettings)
    assert settings.journal_key == settings.hash_key == b"k" * 32
    assert settings.vault_keys == {"form": b"k" * 32}
    shown = repr(settings) + str(settings)
    assert not [secret for secret in ("hunter2", "geheim", "kkkk", KEY) if secret in shown]


def test_settings_cannot_be_changed() -> None:
    """Nobody changes a setting while the process runs."""
    with pytest.raises(ValueError, match="frozen"):
        load(CommonSettings).tenant = "other"  # type: ignore[misc]


def test_missing_and_wrong_variables_are_all_named_without_values(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One run tells everything that is wrong: each variable, what is expected, never what was given."""
    monkeypatch.delenv("MONGODB_URI")
    monkeypatch.setenv("JOURNAL_KEY", base64.b64encode(b"too short").decode())
    monkeypatch.setenv("HASH_KEY", "not*base64*at*all")
    monkeypatch.setenv("HTTP_PORT", "777777")
    monkeypatch.setenv("VAULT_KEYS", '{"form": "sEcReT"')
    printed = refused(capsys)
    assert "MONGODB_URI: missing; expected mongodb://" in printed
    assert "JOURNAL_KEY: not valid; expected base64 of 32 bytes" in printed
    assert "HASH_KEY: not valid" in printed
    assert "HTTP_PORT: not valid; expected a port number" in printed
    assert "VAULT_KEYS: not valid" in printed
    given = ("777777", "sEcReT", "not*base64", base64.b64encode(b"too short").decode(), "hunter2")
    assert not [value for value in given if value in printed]


def test_an_empty_variable_counts_as_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`HASH_KEY=` in a compose file is a forgotten value."""
    monkeypatch.setenv("HASH_KEY", "")
    assert "HASH_KEY: missing" in refused(capsys)


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"VAULT_KEYS": json.dumps({"form": KEY})}, "VAULT_MONGODB_URI: missing"),
        ({"ENVIRONMENT": "production", "OIDC_ISSUER": "http://login.example"}, "OIDC_ISSUER: not allowed"),
        ({"ENVIRONMENT": "production", "DEADLINE_SCALE": "0.1"}, "DEADLINE_SCALE: not allowed"),
        ({"DEADLINE_SCALE": "nan"}, "DEADLINE_SCALE: not valid"),
    ],
)
def test_rules_over_variables(
    variables: dict[str, str], complaint: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Vault keys need a vault; production asks for https and for real deadlines."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert complaint in refused(capsys)


class ServiceSettings(CommonSettings):
    """A service's own names beside the common ones."""

    qr_iban: str = Field(description="the creditor's QR-IBAN")
    limits: dict[str, int] = Field({}, description="a JSON object")


def test_a_services_own_settings_are_named_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Subclasses get the same messages, also for JSON that cannot be read."""
    assert "QR_IBAN: missing; expected the creditor's QR-IBAN" in refused(capsys, ServiceSettings)
    monkeypatch.setenv("QR_IBAN", "CH4431999123000889012")
    monkeypatch.setenv("LIMITS", "{geheim")
    printed = refused(capsys, ServiceSettings)
    assert "LIMITS: not valid; expected JSON" in printed
    assert "geheim" not in printed
