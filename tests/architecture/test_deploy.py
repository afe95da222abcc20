"""The Kubernetes manifests: valid to the letter, and equal to what the code reads, writes, scales and needs."""

import json
from collections.abc import Iterable
from typing import Any

import jsonschema_rs
import kubernetes_validate
import pytest

from deploy.compose import draw
from deploy.local.roles import PURPOSES, ROLES, Role
from services.analytics.topics import CHANGELOG
from services.cli import _parser
from services.intake.catalogue.load import load_catalogue
from shared.contracts.topics import EVENT_TOPICS, GROUPS, Topic, all_topics
from shared.web.health import CHECK_TIMEOUT_SECONDS
from shared.web.serve import longest_stop
from tests.architecture.custom_resources import SCHEMAS
from tests.architecture.deployment import (
    OVERLAYS,
    Manifest,
    cluster_environment,
    of_kind,
    pod,
    read,
    rendered,
    secrets_of,
    settings_class,
    sources,
)
from tests.architecture.test_compose import wanted

KINDS = {
    "ConfigMap",
    "CronJob",
    "Deployment",
    "HorizontalPodAutoscaler",
    "Ingress",
    "Job",
    "Namespace",
    "NetworkPolicy",
    "PersistentVolumeClaim",
    "PodDisruptionBudget",
    "Service",
    "ServiceAccount",
    "StatefulSet",
    *(kind for _, kind in SCHEMAS),
}
"""What may be applied. No Secret: values never stand in manifests; no Role: nothing talks to Kubernetes."""

MAKE_PODS = {"CronJob", "Deployment", "Job", "StatefulSet"}
VERSION = "1.34"
EACH_OVERLAY = pytest.mark.parametrize("overlay", OVERLAYS)
EACH_ROLE = pytest.mark.parametrize("role", ROLES.values(), ids=lambda role: role.name)
SECRETS = {
    (item["metadata"]["name"], key): value
    for item in json.loads(draw.manifests())["items"]
    for key, value in item["stringData"].items()
}
OPTIONAL = {"SMTP_USERNAME", "SMTP_PASSWORD", "KAFKA_USERNAME", "KAFKA_PASSWORD"}


def workloads(documents: Iterable[Manifest]) -> dict[str, Manifest]:
    """Return everything that makes pods."""
    return {d["metadata"]["name"]: d for d in documents if d["kind"] in MAKE_PODS}


def role_container(overlay: str, role: Role) -> Manifest:
    """Return the container of a role in a rendered overlay."""
    (container,) = pod(of_kind(rendered(overlay), "Deployment")[role.name])["containers"]
    found: Manifest = container
    return found


def check(document: Manifest) -> None:
    """Raise unless the document is of an allowed kind and has no field that its schema does not know."""
    assert document["kind"] in KINDS
    schema = SCHEMAS.get((document["apiVersion"], document["kind"]))
    if schema:
        jsonschema_rs.validate(schema, document)
    else:
        kubernetes_validate.validate(document, VERSION, strict=True)


@EACH_OVERLAY
def test_overlay_is_valid(overlay: str) -> None:
    """Every rendered document passes its schema, strictly."""
    for document in rendered(overlay):
        check(document)


def test_written_manifests_are_valid() -> None:
    """So do the files as they are written, also those in no overlay yet."""
    assert {path.split("/")[0] for path, _ in sources()} == {"base", "components", "overlays"}
    for path, document in sources():
        try:
            check(document)
        except Exception as error:
            raise AssertionError(f"{path}: {document['kind']} {document['metadata']['name']}") from error


def test_check_can_fail() -> None:
    """A misspelt field and a foreign kind are found."""
    topic = next(d for _, d in sources() if d["kind"] == "KafkaTopic")
    with pytest.raises(jsonschema_rs.ValidationError):
        check({**topic, "spec": {**topic["spec"], "partition": 6}})
    service = next(d for _, d in sources() if d["kind"] == "Service")
    with pytest.raises(kubernetes_validate.ValidationError):
        check({**service, "spec": {**service["spec"], "selectors": {}}})
    with pytest.raises(AssertionError):
        check({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}})


@EACH_OVERLAY
@EACH_ROLE
def test_role_is_told_all_it_reads_and_nothing_else(overlay: str, role: Role, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every variable is one that the settings read, none is missing, and the role starts with them."""
    container = role_container(overlay, role)
    assert container["args"] == list(role.module)
    told = cluster_environment(rendered(overlay), container, SECRETS)
    named = set(told) | (OPTIONAL & set(secrets_of(container)))
    # Where nothing collects traces nobody is told where to send them.
    silent = {"OTEL_EXPORTER_OTLP_ENDPOINT"} if overlay == "local" else set()
    assert named == wanted(role) - silent
    settings = read(role.service, told, monkeypatch)
    assert settings.environment == ("production" if overlay == "prod" else "development")
    assert set(settings.vault_keys) == set(PURPOSES[role.service])


@EACH_OVERLAY
@EACH_ROLE
def test_secrets_come_by_reference_and_to_their_owner(overlay: str, role: Role) -> None:
    """Keys and passwords come from Secrets, of this service or of the vault, and only purposes of this service."""
    container = role_container(overlay, role)
    references = secrets_of(container)
    fields = settings_class(role.service).model_fields
    secret = {name.upper() for name, field in fields.items() if "Secret" in str(field.annotation) or not field.repr}
    given = {entry["name"] for entry in container["env"]}
    assert (secret & wanted(role)) - {"VAULT_KEYS"} <= set(references)
    assert given == set(references) | ({"VAULT_KEYS"} if role.purposes else set())
    vault = {key for name, key in references.values() if name == "dossierbus-vault"}
    assert vault == ({"MONGODB_URI", *(p.upper() for p in role.purposes)} if role.purposes else set())
    assert {name for name, _ in references.values()} <= {f"dossierbus-{role.service}", "dossierbus-vault"}
    assert set(references.values()) - set(SECRETS) <= {(f"dossierbus-{role.service}", name) for name in OPTIONAL}


@EACH_OVERLAY
def test_pods_are_hardened(overlay: str) -> None:
    """No root, no token, no right, no surprise variable, bounded; the broker alone writes its own root file system."""
    for name, workload in workloads(rendered(overlay)).items():
        spec = pod(workload)
        assert spec["securityContext"]["runAsNonRoot"], name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["enableServiceLinks"] is False, name
        for container in spec["containers"]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False, name
            assert context["capabilities"] == {"drop": ["ALL"]}, name
            assert context.get("readOnlyRootFilesystem") or name == "kafka", name
            assert {"cpu", "memory"} <= set(container["resources"]["limits"]), name
            assert {"cpu", "memory"} <= set(container["resources"]["requests"]), name
            assert not container["image"].endswith(":latest"), name
            assert ":" in container["image"], name


@EACH_OVERLAY
@EACH_ROLE
def test_probes_and_grace_fit_the_code(overlay: str, role: Role) -> None:
    """Liveness asks nobody else, readiness waits longer than its check, stopping has the time that stopping takes."""
    container = role_container(overlay, role)
    assert container["startupProbe"]["httpGet"]["path"] == "/health/live"
    assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"
    assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    assert container["readinessProbe"]["timeoutSeconds"] > CHECK_TIMEOUT_SECONDS
    drain = float(cluster_environment(rendered(overlay), container, SECRETS)["DRAIN_SECONDS"])
    assert drain >= container["readinessProbe"]["periodSeconds"]
    grace = pod(of_kind(rendered(overlay), "Deployment")[role.name])["terminationGracePeriodSeconds"]
    assert grace > longest_stop(drain)


@EACH_OVERLAY
def test_every_role_is_there(overlay: str) -> None:
    """Each role is a Deployment that updates without a gap and may be drained; APIs, and only they, have a Service."""
    documents = rendered(overlay)
    deployments = of_kind(documents, "Deployment")
    assert set(ROLES) <= set(deployments)
    budgets, reached = of_kind(documents, "PodDisruptionBudget"), of_kind(documents, "Service")
    assert set(budgets) == set(ROLES)
    assert set(ROLES) & set(reached) == {name for name in ROLES if name.endswith("-api")}
    for name in ROLES:
        spec = deployments[name]["spec"]
        assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
        assert budgets[name]["spec"]["selector"] == spec["selector"]
        assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
        if name in reached:
            assert reached[name]["spec"]["selector"].items() <= spec["template"]["metadata"]["labels"].items()


@EACH_OVERLAY
def test_nothing_is_allowed_but_what_is_said(overlay: str) -> None:
    """Every pod is closed in both directions; in production nothing opens all of them again but to name servers."""
    policies = of_kind(rendered(overlay), "NetworkPolicy")
    assert policies["deny-all"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    everyone = {name for name, policy in policies.items() if policy["spec"]["podSelector"] == {}}
    assert everyone == {"deny-all", "names"} | ({"inside"} if overlay == "local" else set())
    outside = {name for name, policy in policies.items() if "0.0.0.0/0" in json.dumps(policy)}
    assert outside == {"sign-in", "register", "payment-provider", "mail"}


def _configured(topic: Topic) -> dict[str, Any]:
    kept = {"cleanup.policy": "compact"} if topic.compacted else {"cleanup.policy": "delete"}
    return kept if topic.compacted else {**kept, "retention.ms": topic.retention_ms}


def test_topics_are_the_contracts() -> None:
    """Strimzi is told the topics of the contracts and the counting table's, kept as the code would keep them."""
    agencies = {agency for service in load_catalogue(None).values() for agency in service.agencies()}
    expected = {topic.name: _configured(topic) for topic in (*all_topics(agencies), CHANGELOG)}
    found = of_kind(rendered("prod"), "KafkaTopic")
    settings = of_kind(rendered("prod"), "ConfigMap")
    (common,) = [doc["data"] for name, doc in settings.items() if name.startswith("dossierbus-settings-")]
    stated = {name: dict(topic["spec"]["config"]) for name, topic in found.items()}
    assert {config.pop("min.insync.replicas") for config in stated.values()} == {2}
    assert stated == expected
    assert {str(topic["spec"]["partitions"]) for topic in found.values()} == {common["KAFKA_PARTITIONS"]}
    assert {str(topic["spec"]["replicas"]) for topic in found.values()} == {common["KAFKA_REPLICATION"]}


def test_users_may_do_what_the_contracts_say() -> None:
    """One service writes a topic, those the contracts name read it, and none of ours reads an agency's.

    Operators repeat what was said, with a login of their own.
    """
    users = {doc["metadata"]["name"]: doc for _, doc in sources() if doc["kind"] == "KafkaUser"}
    may: dict[tuple[str, str], set[str]] = {}
    for operation in ("Read", "Write"):
        for name, user in users.items():
            for acl in user["spec"]["authorization"]["acls"]:
                if acl["resource"]["type"] == "topic" and operation in acl["operations"]:
                    may.setdefault((operation, acl["resource"]["name"]), set()).add(name)
    for topic in EVENT_TOPICS:
        assert may["Write", topic.name] == {topic.writer, "operators"}
        readers = {reader.removesuffix("-reuse") for reader in topic.readers}
        assert may["Read", topic.name] == readers | {topic.writer, "operators"}
    assert may["Write", "agency."] == {"intake", "operators"}
    assert ("Read", "agency.") not in may
    for group in GROUPS:
        assert may["Write", f"{group}.dlq"] == {group.removesuffix("-reuse")}


def test_backup_is_a_command_of_ours_with_a_login_of_its_own() -> None:
    """The hourly job runs a command that the code knows, onto two claims, with a login that no role has."""
    documents = rendered("prod")
    spec = pod(of_kind(documents, "CronJob")["backup"])
    (container,) = spec["containers"]
    module, *arguments = container["args"]
    assert module == "services.cli"
    options = _parser().parse_args(arguments)
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert options.to != options.vault_to
    assert {str(options.to), str(options.vault_to)} <= mounted
    claims = {v["persistentVolumeClaim"]["claimName"] for v in spec["volumes"] if "persistentVolumeClaim" in v}
    assert claims == set(of_kind(documents, "PersistentVolumeClaim"))
    ((name, _),) = secrets_of(container).values()
    assert all(name not in json.dumps(role) for role in of_kind(documents, "Deployment").values())


def test_workers_follow_their_own_groups_lag() -> None:
    """Each consumer group scales the role that reads as this group, never beyond the partitions."""
    documents = rendered("prod")
    scaled = of_kind(documents, "ScaledObject")
    groups = {}
    for name, one in scaled.items():
        (trigger,) = one["spec"]["triggers"]
        told = cluster_environment(documents, role_container("prod", ROLES[name]), SECRETS)
        assert trigger["metadata"]["bootstrapServers"] == told["KAFKA_BOOTSTRAP_SERVERS"]
        assert one["spec"]["maxReplicaCount"] <= int(told["KAFKA_PARTITIONS"])
        groups[trigger["metadata"]["consumerGroup"]] = name
    assert groups == {group: group if "-" in group else f"{group}-worker" for group in GROUPS}
    for name in (*scaled, *of_kind(documents, "HorizontalPodAutoscaler")):
        assert "replicas" not in of_kind(documents, "Deployment")[name]["spec"]
