"""How a client of Kafka reaches its brokers: addresses, TLS, the login. Opens nothing."""

import ssl
from typing import Any

from shared.settings import CommonSettings


def connection(settings: CommonSettings) -> dict[str, Any]:
    """Return what every client of aiokafka is made with: address, protocol and, where asked for, TLS and login.

    With a login the mechanism is SCRAM-SHA-512 (RFC 5802), which Strimzi's users have; the password stays here.
    """
    chosen: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "security_protocol": protocol(settings),
        "ssl_context": tls(settings),
    }
    if settings.kafka_username and settings.kafka_password:
        chosen |= {
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": settings.kafka_username,
            "sasl_plain_password": settings.kafka_password.get_secret_value(),
        }
    return chosen


def protocol(settings: CommonSettings) -> str:
    """Return Kafka's name for the protocol: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL."""
    encryption = "SSL" if settings.kafka_tls else "PLAINTEXT"
    return f"SASL_{encryption}" if settings.kafka_username else encryption


def tls(settings: CommonSettings) -> ssl.SSLContext | None:
    """Return the context that checks the brokers' certificates and names, or None where nothing is encrypted."""
    if not settings.kafka_tls:
        return None
    return ssl.create_default_context(cafile=str(settings.kafka_ca_file) if settings.kafka_ca_file else None)
