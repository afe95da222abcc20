"""What watches the roles finds them under the labels that alerts and boards go by, in compose and in a cluster."""

import re
from typing import Any

import pytest
import yaml

from deploy.local.roles import ROLES
from tests.architecture.deployment import OVERLAYS, of_kind, pod, rendered
from tests.architecture.tree import ROOT

FOLDER = ROOT / "deploy" / "prometheus"
LABEL = "__meta_kubernetes_pod_label_"


def _cluster_targets() -> dict[str, str]:
    """Return target label -> pod label, as the cluster's scrape configuration says."""
    (job,) = yaml.safe_load((FOLDER / "kubernetes.yml").read_text())["scrape_configs"]
    return {
        rule["target_label"]: rule["source_labels"][0].removeprefix(LABEL)
        for rule in job["relabel_configs"]
        if rule.get("target_label") and rule["source_labels"][0].startswith(LABEL)
    }


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_pods_of_a_cluster_become_job_and_role(overlay: str) -> None:
    """Every pod of a role is scraped as job (its service) and role (its kind), and says that it belongs to us."""
    targets = _cluster_targets()
    deployments = of_kind(rendered(overlay), "Deployment")
    for role in ROLES.values():
        template = deployments[role.name]["spec"]["template"]
        labels = {re.sub(r"\W", "_", name): value for name, value in template["metadata"]["labels"].items()}
        assert labels["app_kubernetes_io_part_of"] == "dossierbus"
        assert (labels[targets["job"]], labels[targets["role"]]) == (role.service, role.kind)
        ports = [port["name"] for port in pod(deployments[role.name])["containers"][0]["ports"]]
        assert ports == ["http"]


def test_rules_reach_both() -> None:
    """Compose mounts the folder that prometheus.yml names; the cluster's ConfigMap holds the same files."""
    named: dict[str, Any] = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    assert named["rule_files"] == ["rules/*.yml"]
    (generated,) = yaml.safe_load((FOLDER / "rules" / "kustomization.yaml").read_text())["configMapGenerator"]
    assert generated["files"] == sorted(path.name for path in (FOLDER / "rules").glob("*.yml"))
