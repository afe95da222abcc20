"""The fields of foreign resources that the manifests use, by hand: no package carries these schemas. Strict.

Sources: Strimzi's examples of `kafka.strimzi.io/v1` (topic/kafka-topic.yaml, user/kafka-user.yaml), and KEDA 2.22's
pages on ScaledObject and on the scaler "Apache Kafka".
"""

from typing import Any

_TEXT = {"type": "string", "minLength": 1}
_COUNT = {"type": "integer", "minimum": 1}


def _closed(properties: dict[str, Any], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _resource(version: str, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = _closed(
        {"name": {"type": "string", "pattern": r"^[a-z0-9][a-z0-9.-]*$"}, "namespace": _TEXT, "labels": _LABELS},
        ("namespace", "labels"),
    )
    return _closed({"apiVersion": {"const": version}, "kind": {"const": kind}, "metadata": metadata, "spec": spec})


_LABELS = {"type": "object", "additionalProperties": _TEXT}

_ACL = _closed(
    {
        "resource": _closed(
            {
                "type": {"enum": ["topic", "group", "cluster", "transactionalId"]},
                "name": _TEXT,
                "patternType": {"enum": ["literal", "prefix"]},
            },
            ("patternType",),
        ),
        "operations": {
            "type": "array",
            "minItems": 1,
            "items": {"enum": ["Read", "Write", "Create", "Delete", "Describe", "DescribeConfigs", "IdempotentWrite"]},
        },
    }
)

_KAFKA_TRIGGER = _closed(
    {
        "type": {"const": "kafka"},
        "metadata": _closed(
            {
                "bootstrapServers": _TEXT,
                "consumerGroup": _TEXT,
                # KEDA reads every value of a trigger as text.
                "lagThreshold": {"type": "string", "pattern": "^[1-9][0-9]*$"},
                "offsetResetPolicy": {"enum": ["latest", "earliest"]},
            }
        ),
    }
)

SCHEMAS: dict[tuple[str, str], dict[str, Any]] = {
    ("kafka.strimzi.io/v1", "KafkaTopic"): _resource(
        "kafka.strimzi.io/v1",
        "KafkaTopic",
        _closed(
            {
                "partitions": _COUNT,
                "replicas": _COUNT,
                "config": _closed(
                    {
                        "cleanup.policy": {"enum": ["delete", "compact"]},
                        "retention.ms": _COUNT,
                        "min.insync.replicas": _COUNT,
                    },
                    ("retention.ms",),
                ),
            }
        ),
    ),
    ("kafka.strimzi.io/v1", "KafkaUser"): _resource(
        "kafka.strimzi.io/v1",
        "KafkaUser",
        _closed(
            {
                "authentication": _closed({"type": {"enum": ["tls", "scram-sha-512"]}}),
                "authorization": _closed({"type": {"const": "simple"}, "acls": {"type": "array", "items": _ACL}}),
            }
        ),
    ),
    ("keda.sh/v1alpha1", "ScaledObject"): _resource(
        "keda.sh/v1alpha1",
        "ScaledObject",
        _closed(
            {
                "scaleTargetRef": _closed({"name": _TEXT}),
                "minReplicaCount": _COUNT,
                "maxReplicaCount": _COUNT,
                "pollingInterval": _COUNT,
                "cooldownPeriod": _COUNT,
                "advanced": _closed(
                    {
                        "horizontalPodAutoscalerConfig": _closed(
                            {"behavior": _closed({"scaleDown": _closed({"stabilizationWindowSeconds": _COUNT})})}
                        )
                    }
                ),
                "triggers": {"type": "array", "minItems": 1, "items": _KAFKA_TRIGGER},
            }
        ),
    ),
}
"""(apiVersion, kind) -> JSON Schema."""
