"""The image and the compose project say what the roles read, hold and need: no unknown and no missing variable."""

import json
import re
import subprocess
from typing import Any

import pytest
import yaml

from deploy.compose import draw
from deploy.local.install import UV
from deploy.local.roles import DATABASES, PURPOSES, ROLES, SERVICES, Role
from services.analytics.worker import STOP_SECONDS
from shared.web.serve import CANCEL_SECONDS, longest_stop
from tests.architecture.deployment import (
    compose,
    compose_text,
    compose_variables,
    env_file,
    read,
    settings_class,
    tool,
)
from tests.architecture.tree import ROOT

LEFT_TO_DEFAULTS: dict[str, str] = {
    "vault_other_keys": "only while wrapping keys are rotated, see docs/backup.md",
    "kafka_session_timeout_ms": "a default for every installation",
    "parity_seconds": "a default for every installation",
    "parity_repair": "a town that wants it sets it",
    "deadline_scale": "for development and tests only",
    "http_connections": "a default for every installation",
    "http_requests": "a default for every installation",
    "http_requests_per_caller": "a default for every installation",
    "http_body_seconds": "a default for every installation",
    "catalogue": "a folder a town mounts",
    "poll_first_seconds": "a default for every installation",
    "kpi_overlap": "a default for every installation",
    "kpi_publish_seconds": "a default for every installation",
    "kpi_target_p50_seconds": "a promise a town may change",
    "kpi_target_p90_seconds": "a promise a town may change",
}
"""Settings that no deployment sets, each with the reason."""

VAULT = {"vault_mongodb_uri", "vault_keys"}
EACH_ROLE = pytest.mark.parametrize("role", ROLES.values(), ids=lambda role: role.name)
MEMORY = {"m": 1, "g": 1024}


def wanted(role: Role) -> set[str]:
    """Return the settings, as variables, that a deployment of this role states."""
    fields = set(settings_class(role.service).model_fields) - set(LEFT_TO_DEFAULTS)
    return {field.upper() for field in (fields if role.purposes else fields - VAULT)}


def services() -> dict[str, Any]:
    """Return the services of docker-compose.yml."""
    found: dict[str, Any] = compose()["services"]
    return found


@EACH_ROLE
def test_role_is_told_all_it_reads_and_nothing_else(role: Role, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose sets every variable that the role's settings read, no other, and the role starts with them."""
    service = services()[role.name]
    assert service["command"] == list(role.module)
    assert set(service["environment"]) == wanted(role)
    settings = read(role.service, service["environment"], monkeypatch)
    assert set(settings.vault_keys) == set(PURPOSES[role.service])
    assert re.search(rf"//{role.service}:.*/{role.service}\?", settings.mongodb_uri.get_secret_value())
    assert settings.otel_service_name == role.service


def test_left_out_settings_exist() -> None:
    """A setting that is gone is no longer excused."""
    known = {field for service in SERVICES for field in settings_class(service).model_fields}
    assert set(LEFT_TO_DEFAULTS) <= known


def test_every_role_is_there_and_watched() -> None:
    """No role is forgotten; each has a health check, limits, time to stop, no right and no file to write."""
    assert set(ROLES) == {name for name, one in services().items() if one["image"].startswith("dossierbus:")}
    assert CANCEL_SECONDS > STOP_SECONDS
    for name in ROLES:
        one = services()[name]
        assert "/health/ready" in one["healthcheck"]["test"][-1]
        drain = float(one["environment"]["DRAIN_SECONDS"])
        assert int(one["stop_grace_period"].rstrip("s")) > longest_stop(drain)
        assert one["read_only"]
        assert one["cap_drop"] == ["ALL"]
        assert set(one["profiles"]) == {"small", "full"}


def test_every_container_is_bounded() -> None:
    """Each has limits, and what profile `small` may take together leaves room on 8 GB, stand-ins included."""
    memory = {}
    for name, one in services().items():
        limits = one["deploy"]["resources"]["limits"]
        assert {"cpus", "memory", "pids"} <= set(limits), name
        memory[name] = int(limits["memory"][:-1]) * MEMORY[limits["memory"][-1]]
    small = [name for name, one in services().items() if {"small", "sandbox"} & set(one["profiles"])]
    assert sum(memory[name] for name in small) <= 7.5 * 1024


def test_images_are_pinned_and_ports_are_local() -> None:
    """No foreign image floats, and nothing is reachable from other machines."""
    for name, one in services().items():
        if not one["image"].startswith("dossierbus"):
            assert re.search(r":v?\d+\.\d+\.\d+(@sha256:[0-9a-f]{64})?$", one["image"]), name
        for port in one.get("ports", []):
            assert port.startswith("127.0.0.1:"), name


def test_env_example_is_complete() -> None:
    """Whatever has no default stands in env.example, and nothing stands there that is not used."""
    variables = compose_variables()
    required = {name for name, default in variables.items() if default == "?"}
    assert required <= set(env_file())
    assert set(env_file()) <= {*variables, "COMPOSE_PROFILES"}
    assert {name for name in required if not env_file()[name]} == set()


def test_secrets_are_drawn_anew_and_for_everybody() -> None:
    """Two drawings share no secret; each service, purpose and database gets its own."""
    drawn = {name: value for name, value in env_file().items() if name.startswith(("MONGODB_", "JOURNAL_", "HASH_"))}
    assert len(set(drawn.values())) == len(drawn)
    assert not set(drawn.values()) & set(draw.filled().replace("=", "\n", 1).splitlines())
    assert draw.SERVICES == SERVICES
    assert set(draw.PURPOSES) == {purpose for purposes in PURPOSES.values() for purpose in purposes}
    created = re.search(r"databases = (\[.*\])", (ROOT / "deploy/mongo/initiate.js").read_text())
    assert created
    assert json.loads(created[1]) == list(DATABASES)


def test_sandbox_is_never_started_for_production() -> None:
    """The stand-ins get the project's ENVIRONMENT, so that they refuse to start beside real dossiers."""
    for name, one in services().items():
        if one["profiles"] == ["sandbox"]:
            assert one["environment"]["ENVIRONMENT"] == env_file()["ENVIRONMENT"], name
    assert "ENVIRONMENT: ${ENVIRONMENT:?}" in compose_text()


def test_prometheus_asks_every_role() -> None:
    """Each role is scraped under its service's name."""
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    asked = {
        (job["job_name"], name)
        for job in config["scrape_configs"]
        for found in job.get("dns_sd_configs", [])
        for name in found["names"]
    }
    assert {(role.service, role.name) for role in ROLES.values()} <= asked
    assert {name for _, name in asked} <= set(services())


def test_mounted_files_exist() -> None:
    """Docker makes an empty directory of a file that is missing; nobody wants to find that out."""
    for name, one in services().items():
        for volume in one.get("volumes", []):
            if volume.startswith("./"):
                assert (ROOT / volume.split(":")[0]).exists(), f"{name}: {volume}"


def test_dockerfile_is_sound() -> None:
    """hadolint has nothing to say; the image holds no development tools and runs as nobody in particular."""
    done = subprocess.run([tool("hadolint"), str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    text = (ROOT / "Dockerfile").read_text()
    assert UV in text
    assert text.count("--frozen --no-build --no-default-groups") == text.count("uv sync")
    last = text.rpartition("FROM ")[2]
    assert "AS runtime" in last.splitlines()[0]
    assert "USER 10001:10001" in last
    assert "shared/testing" in (ROOT / ".dockerignore").read_text()
