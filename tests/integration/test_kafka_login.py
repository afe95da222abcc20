"""Roles reach a Kafka that asks for TLS and a login, and nobody else does; on genuine Kafka."""

import asyncio
import ipaddress
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from aiokafka import AIOKafkaConsumer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from deploy.local import kafka
from deploy.local.broker import kafka_node
from deploy.local.ports import check_base
from deploy.local.processes import Launch, ManagedProcess
from services.analytics.stream import _credentials
from shared.contracts.topics import Topic
from shared.environment import SystemEnvironment
from shared.errors import BrokerUnavailable
from shared.kafka.client import KafkaPublisher, cluster_id, ensure_topics
from shared.kafka.connection import connection
from shared.runtime import patiently
from shared.settings import CommonSettings
from tests.integration.conftest import Kafka
from tests.unit.sample_journal import noted, record_of

NODE: Final = kafka_node(1, check_base(32_600), alone=True, detours=False)
USERS: Final = {"identity": "right horse", "stranger": "x"}
TOPIC: Final = Topic("login-test", "tests", (), ())


@pytest.fixture
async def authority(kafka: Kafka, tmp_path: Path) -> AsyncIterator[Path]:
    """The PEM file of who signed the certificate of a node that is running and takes nothing but TLS and SCRAM."""
    del kafka
    process = ManagedProcess(_guarded(tmp_path), tmp_path)
    process.start()
    try:
        await asyncio.to_thread(process.wait_ready)
        yield tmp_path / "authority.pem"
    finally:
        await asyncio.to_thread(process.stop)


async def test_a_login_over_tls_reaches_kafka(authority: Path) -> None:
    """Administration, publishing and reading all come in."""
    settings = _settings(authority, "identity", USERS["identity"])
    cluster = await patiently(lambda: cluster_id(settings), SystemEnvironment())
    await ensure_topics(settings, [TOPIC])
    publisher = KafkaPublisher(settings)
    await publisher.connect(cluster)
    assert await publisher.publish([record_of("d1", 1, noted(1), TOPIC.name)]) == [True]
    await publisher.close()
    consumer = AIOKafkaConsumer(TOPIC.name, **connection(settings), auto_offset_reset="earliest")
    await consumer.start()
    assert (await asyncio.wait_for(consumer.getone(), 30)).key == b"d1"
    await consumer.stop()


@pytest.mark.parametrize(
    "changes",
    [
        {"kafka_password": "wrong horse"},
        {"kafka_username": "nobody"},
        {"kafka_username": None, "kafka_password": None},
        {"kafka_ca_file": None},
        {"kafka_tls": False, "kafka_ca_file": None},
    ],
    ids=["password", "user", "no login", "unknown authority", "no TLS"],
)
async def test_nobody_else_does(authority: Path, changes: dict[str, Any]) -> None:
    """A wrong or missing login, a certificate of somebody unknown, a way in the clear: the broker is not available."""
    settings = _settings(authority, "identity", USERS["identity"], **changes)
    with pytest.raises(BrokerUnavailable):
        await asyncio.wait_for(cluster_id(settings), 60)


def test_faust_logs_in_as_the_others_do(tmp_path: Path) -> None:
    """What Faust hands to aiokafka is what the other clients are made with."""
    _certify(tmp_path)
    settings = _settings(tmp_path / "authority.pem", "analytics", "y")
    mine, theirs = dict(credentials_to_aiokafka_auth(_credentials(settings))), connection(settings)
    del theirs["bootstrap_servers"], theirs["ssl_context"]
    assert mine.pop("ssl_context").get_ca_certs()
    assert mine == theirs


def _settings(authority: Path, user: str, password: str, **changes: Any) -> CommonSettings:
    key = "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="
    values: dict[str, Any] = {
        "kafka_bootstrap_servers": f"127.0.0.1:{NODE.port}",
        "kafka_create_topics": True,
        "kafka_tls": True,
        "kafka_ca_file": authority,
        "kafka_username": user,
        "kafka_password": password,
        "mongodb_uri": "mongodb://127.0.0.1/none",
        "journal_key": key,
        "hash_key": key,
        "oidc_issuer": "https://login.example",
    }
    return CommonSettings.model_validate({**values, **changes})


def _guarded(root: Path) -> Launch:
    """Return how a node is started that was formatted with users, and configured to ask for them."""
    program = kafka.prepare(root / "kafka", [NODE])
    launch = program.launch("broker")
    config = root / "kafka" / "server.properties"
    _certify(root)
    config.write_text(config.read_text() + _demands(root))
    shutil.rmtree(root / "kafka" / "data")
    users = [f"--add-scram=SCRAM-SHA-512=[name={name},password={password}]" for name, password in USERS.items()]
    cluster = (root / "kafka" / "cluster-id").read_text()
    tool = [str(program.java), "-cp", program.class_path, "kafka.tools.StorageTool", "format"]
    subprocess.run([*tool, "--cluster-id", cluster, "--config", str(config), *users], check=True, capture_output=True)
    return replace(launch, ready=_listens)


def _listens() -> bool:
    with socket.create_connection(("127.0.0.1", NODE.port), timeout=2):
        return True


def _demands(root: Path) -> str:
    """Return the lines that overrule those of an open node. The node reaches itself in the clear."""
    module = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    return f"""
listeners=SASL_SSL://127.0.0.1:{NODE.port},INTERNAL://127.0.0.1:{NODE.port + 5},CONTROLLER://127.0.0.1:{NODE.controller_port}
advertised.listeners=SASL_SSL://127.0.0.1:{NODE.port},INTERNAL://127.0.0.1:{NODE.port + 5}
listener.security.protocol.map=SASL_SSL:SASL_SSL,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=INTERNAL
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={module}
ssl.keystore.type=PEM
ssl.keystore.location={root / "node.pem"}
"""


def _certify(root: Path) -> None:
    """Write `authority.pem`, and `node.pem` with the key and the certificate signed for 127.0.0.1."""
    own, node = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    signer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
    holder = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    ca = _certificate(signer, signer, own).add_extension(
        x509.BasicConstraints(ca=True, path_length=None), critical=True
    )
    chain = [_certificate(holder, signer, node).add_extension(address, critical=False), ca]
    signed = [one.sign(own, hashes.SHA256()).public_bytes(serialization.Encoding.PEM) for one in chain]
    plain = serialization.NoEncryption()
    key = node.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (root / "authority.pem").write_bytes(signed[1])
    (root / "node.pem").write_bytes(key + b"".join(signed))


def _certificate(holder: x509.Name, signer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder(signer, holder, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
    )
