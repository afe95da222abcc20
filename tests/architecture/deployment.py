"""Reading the deployment: compose with its variables filled in, rendered overlays, what a role is told by them."""

import importlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.compose import draw
from shared.settings import CommonSettings
from tests.architecture.tree import ROOT

OVERLAYS = ("local", "prod")
K8S = ROOT / "deploy" / "k8s"

Manifest = Mapping[str, Any]
_VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?::?([-?])([^}]*))?\}")


@cache
def env_file() -> Mapping[str, str]:
    """Return what `draw.py env` prints, as compose reads it."""
    lines = (line for line in draw.filled().splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def compose_text() -> str:
    """Return docker-compose.yml as it is written."""
    return (ROOT / "docker-compose.yml").read_text(encoding="utf-8")


def compose_variables() -> dict[str, str]:
    """Return each variable of docker-compose.yml with its default; `?` for none."""
    return {name: "?" if mark == "?" else default for name, mark, default in _VARIABLE.findall(compose_text())}


@cache
def compose() -> Manifest:
    """Return docker-compose.yml with the variables of the drawn env file filled in, as compose does it."""

    def value(match: re.Match[str]) -> str:
        return env_file().get(match[1]) or ("" if match[2] == "?" else match[3] or "")

    # Quoted, because a drawn number must stay the text that it is in an env file.
    document = yaml.safe_load(compose_text())
    filled: Manifest = _filled(document, lambda text: _VARIABLE.sub(value, text).replace("$$", "$"))
    return filled


def _filled(node: Any, fill: Any) -> Any:
    if isinstance(node, dict):
        return {key: _filled(value, fill) for key, value in node.items()}
    if isinstance(node, list):
        return [_filled(value, fill) for value in node]
    return fill(node) if isinstance(node, str) else node


@cache
def rendered(overlay: str) -> tuple[Manifest, ...]:
    """Return the documents of an overlay as kustomize makes them; skips where it cannot be had."""
    if shutil.which("kubectl"):
        command = ["kubectl", "kustomize"]
    elif shutil.which("kustomize"):
        command = ["kustomize", "build"]
    else:
        pytest.skip("neither kubectl nor kustomize is on PATH")
    done = subprocess.run(
        [shutil.which(command[0]) or command[0], command[1], str(K8S / "overlays" / overlay)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def sources() -> Iterable[tuple[str, Manifest]]:
    """Yield path and document of every manifest as it is written, kustomizations apart."""
    for path in sorted(K8S.rglob("*.yaml")):
        if path.name not in ("kustomization.yaml", "role.yaml"):
            for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
                yield str(path.relative_to(K8S)), document


def of_kind(documents: Iterable[Manifest], kind: str) -> dict[str, Manifest]:
    """Return the documents of a kind by name."""
    return {doc["metadata"]["name"]: doc for doc in documents if doc["kind"] == kind}


def pod(workload: Manifest) -> Manifest:
    """Return the pod's specification of a Deployment, StatefulSet, Job or CronJob."""
    spec = workload["spec"].get("jobTemplate", workload)["spec"]
    found: Manifest = spec["template"]["spec"]
    return found


def secrets_of(container: Manifest) -> dict[str, tuple[str, str]]:
    """Return which Secret and key each variable is taken from."""
    found = {}
    for entry in container.get("env", []):
        reference = entry.get("valueFrom", {}).get("secretKeyRef")
        if reference:
            found[entry["name"]] = (reference["name"], reference["key"])
    return found


def cluster_environment(
    documents: Iterable[Manifest], container: Manifest, secrets: Mapping[tuple[str, str], str]
) -> dict[str, str]:
    """Return a container's environment as Kubernetes makes it: ConfigMaps, then `env`, `$(NAME)` from what came before.

    Variables that are there only to be put into another one are left out. Raises KeyError for what does not exist.
    """
    maps, result, parts = of_kind(documents, "ConfigMap"), dict[str, str](), set[str]()
    for source in container.get("envFrom", []):
        result |= maps[source["configMapRef"]["name"]].get("data") or {}
    for entry in container.get("env", []):
        if "value" in entry:
            names = re.findall(r"\$\((\w+)\)", entry["value"])
            parts.update(names)
            text = entry["value"]
            for name in names:
                text = text.replace(f"$({name})", result[name])
            result[entry["name"]] = text
            continue
        reference = entry["valueFrom"]["secretKeyRef"]
        if (reference["name"], reference["key"]) in secrets or not reference.get("optional"):
            result[entry["name"]] = secrets[reference["name"], reference["key"]]
    return {name: value for name, value in result.items() if name not in parts}


def settings_class(service: str) -> type[CommonSettings]:
    """Return the settings class of a service."""
    module = importlib.import_module(f"services.{service}.settings")
    found = [item for item in vars(module).values() if isinstance(item, type) and item.__module__ == module.__name__]
    return next(item for item in found if issubclass(item, CommonSettings))


def read(service: str, environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> CommonSettings:
    """Return the settings that a role reads from this environment and nothing else. Raises as the role would."""
    for name in list(os.environ):
        monkeypatch.delenv(name)
    # The mounted file is only in the pod; any file serves to see that the setting is understood.
    mounted = {"KAFKA_CA_FILE": __file__} if environment.get("KAFKA_CA_FILE") else {}
    for name, value in {**environment, **mounted}.items():
        monkeypatch.setenv(name, value)
    return settings_class(service)()


def tool(name: str) -> str:
    """Return the path of a program that is installed beside this Python."""
    return str(Path(sys.executable).with_name(name))
