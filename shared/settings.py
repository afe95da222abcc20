"""Settings from environment variables: the same names for every service.

An error names the variable and what is expected, never the value: it may be a secret.
"""

from __future__ import annotations

import base64
import binascii
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BeforeValidator, Field, FilePath, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

KEY_BYTES: Final = 32
_KEY_EXPECTED: Final = "base64 of 32 bytes (`openssl rand -base64 32` makes one)"


def _decode_key(value: object) -> bytes:
    if isinstance(value, bytes):
        key = value
    else:
        try:
            key = base64.b64decode(str(value), validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("not base64") from None
    if len(key) != KEY_BYTES:
        raise ValueError("wrong length")
    return key


def _decode_keys(value: object) -> dict[str, bytes]:
    try:
        keys = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError("not JSON") from None
    if not isinstance(keys, Mapping):
        raise ValueError("not a JSON object")  # noqa: TRY004 - pydantic reports ValueError only
    return {str(purpose): _decode_key(key) for purpose, key in keys.items()}


Key = Annotated[bytes, NoDecode, BeforeValidator(_decode_key), Field(repr=False)]
Keys = Annotated[Mapping[str, bytes], NoDecode, BeforeValidator(_decode_keys), Field(repr=False)]


class CommonSettings(BaseSettings):
    """What every role needs; a service's own settings class adds its names to these."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)

    tenant: str = Field("emmen", pattern=r"^[a-z][a-z0-9-]{1,30}$", description="a short lowercase name such as emmen")
    environment: Literal["development", "production"] = Field("development", description="development or production")
    http_host: str = Field("127.0.0.1", description="the address to listen on, such as 127.0.0.1 or 0.0.0.0")
    http_port: int = Field(8100, ge=0, le=65535, description="a port number between 0 and 65535")
    http_connections: int = Field(1000, ge=10, le=50_000, description="a whole number from 10 to 50000")
    http_requests: int = Field(256, ge=1, le=10_000, description="a whole number from 1 to 10000")
    http_requests_per_caller: int = Field(64, ge=1, le=10_000, description="a whole number from 1 to 10000")
    http_body_seconds: float = Field(
        30.0, gt=0, le=600, allow_inf_nan=False, description="above 0 up to 600: how long a body may take to arrive"
    )
    drain_seconds: float = Field(
        0.0, ge=0, le=30, description="0 to 30: how long to go on answering, not ready, after being told to stop"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")
    kafka_bootstrap_servers: str = Field(
        "127.0.0.1:9192", min_length=3, description="host:port of one or more brokers, separated by commas"
    )
    kafka_partitions: int = Field(6, ge=1, le=1000, description="a whole number from 1 to 1000")
    kafka_replication: int = Field(1, ge=1, le=7, description="a whole number from 1 to 7")
    kafka_create_topics: bool = Field(False, description="true or false")
    kafka_idempotence: bool = Field(True, description="true or false (false only for the embedded broker)")
    kafka_tls: bool = Field(False, description="true or false")
    kafka_ca_file: FilePath | None = Field(None, description="a PEM file of who signs the brokers' certificates")
    kafka_username: str | None = Field(None, description="the login to Kafka (SCRAM-SHA-512)")
    kafka_password: SecretStr | None = Field(None, description="the login's password")
    kafka_session_timeout_ms: int = Field(30_000, ge=3_000, le=300_000, description="milliseconds, 3000 to 300000")
    mongodb_uri: SecretStr = Field(description="mongodb://… with the service's database in its path")
    vault_mongodb_uri: SecretStr | None = Field(None, description="mongodb://… with the vault's database in its path")
    vault_keys: Keys = Field({}, repr=False, description=f'a JSON object {{"purpose": key}}, each key {_KEY_EXPECTED}')
    vault_other_keys: Keys = Field({}, repr=False, description="like VAULT_KEYS: those rotated from or to")
    journal_key: Key = Field(repr=False, description=_KEY_EXPECTED)
    hash_key: Key = Field(repr=False, description=_KEY_EXPECTED)
    oidc_issuer: str = Field(pattern=r"^https?://[^\s?#]+$", description="the issuer's https address, without ? and #")
    oidc_audience: str = Field("dossierbus", min_length=1, description="the audience that access tokens name")
    otel_exporter_otlp_endpoint: str | None = Field(
        None, pattern=r"^https?://\S+$", description="the collector's base address, such as http://127.0.0.1:4318"
    )
    otel_service_name: str | None = Field(None, description="the name under which traces appear")
    parity_seconds: float = Field(
        3600, ge=0, le=604_800, allow_inf_nan=False, description="seconds between comparisons of the books, 0: never"
    )
    parity_repair: bool = Field(False, description="true or false: repair what a comparison finds")
    public_url: str = Field(
        "http://127.0.0.1:8100", pattern=r"^https?://\S+$", description="the address of intake as the portal sees it"
    )
    deadline_scale: float = Field(
        1.0, gt=0, le=1, allow_inf_nan=False, description="a number above 0 and up to 1; 1 in production"
    )

    @model_validator(mode="after")
    def _vault_is_whole(self) -> CommonSettings:
        if self.vault_keys and self.vault_mongodb_uri is None:
            raise ValueError("VAULT_MONGODB_URI: missing; VAULT_KEYS is set, so the vault's database is needed too")
        return self

    @model_validator(mode="after")
    def _kafka_login_is_whole(self) -> CommonSettings:
        if (self.kafka_username is None) != (self.kafka_password is None):
            raise ValueError("KAFKA_USERNAME, KAFKA_PASSWORD: one is missing; expected both or none")
        if self.kafka_ca_file and not self.kafka_tls:
            raise ValueError("KAFKA_CA_FILE: not allowed; expected only with KAFKA_TLS=true")
        return self

    @model_validator(mode="after")
    def _production_is_strict(self) -> CommonSettings:
        if self.environment == "production" and not self.oidc_issuer.startswith("https://"):
            raise ValueError("OIDC_ISSUER: not allowed; in production expected an https address")
        if self.environment == "production" and self.deadline_scale != 1:
            raise ValueError("DEADLINE_SCALE: not allowed; in production expected 1")
        return self


AnySettings = TypeVar("AnySettings", bound=BaseSettings)


def load(settings_class: type[AnySettings]) -> AnySettings:
    """Read the environment; on errors list every variable on standard error and exit with code 2."""
    try:
        return settings_class()
    except ValidationError as error:
        lines = list(complaints(settings_class, error))
    except SettingsError as error:
        lines = [f"{_named_field(settings_class, error)}: not valid; expected JSON"]
    sys.stderr.write("The settings are not complete:\n" + "".join(f"  {line}\n" for line in lines))
    raise SystemExit(2)


def complaints(settings_class: type[BaseSettings], error: ValidationError) -> Iterator[str]:
    """One sentence per wrong variable, without values."""
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        if not problem["loc"]:
            # Rules over several variables are worded by the rule itself, which knows no values.
            yield problem["msg"].removeprefix("Value error, ")
            continue
        name = str(problem["loc"][0])
        state = "missing" if problem["type"] == "missing" else "not valid"
        yield f"{name.upper()}: {state}; expected {_expected(settings_class, name)}"


def _expected(settings_class: type[BaseSettings], name: str) -> str:
    field = settings_class.model_fields.get(name.lower())
    if field is None:
        return "nothing (unknown setting)"
    annotation: Any = field.annotation
    return field.description or f"a value of type {getattr(annotation, '__name__', annotation)}"


def _named_field(settings_class: type[BaseSettings], error: SettingsError) -> str:
    text = str(error)
    return next((name.upper() for name in settings_class.model_fields if f'"{name}"' in text), "a variable")
