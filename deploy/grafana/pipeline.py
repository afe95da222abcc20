"""The board of the way between services: events, work, dead letters, database and broker."""

from typing import Final

from deploy.grafana import parts
from deploy.grafana.model import Board, Panel, Query, Row, Variable

_ONLY: Final = 'job=~"$job"'


def _exporter(title: str, text: str, expression: str, legend: str, unit: str = "short") -> Panel:
    return Panel(title, text, (Query(expression, legend),), unit)


_KAFKA: Final = Row(
    "Kafka (exporter of profile full)",
    (
        _exporter("Brokers", "How many answer. Normal: all.", "kafka_brokers", "brokers"),
        _exporter(
            "Copies missing",
            "Partitions with fewer copies than wanted. Normal: 0.",
            "sum(kafka_topic_partition_under_replicated_partition)",
            "partitions",
        ),
        _exporter(
            "Lag as the broker sees it",
            "By group, also of groups none of whose members run. Normal: near 0.",
            "sum by (consumergroup) (kafka_consumergroup_lag)",
            "{{consumergroup}}",
        ),
    ),
    exporter=True,
)
_MONGODB: Final = Row(
    "MongoDB (exporter of profile full)",
    (
        _exporter("Members", "How many answer. Normal: all.", "sum(mongodb_up)", "members"),
        _exporter(
            "Connections",
            "By state. Normal: far below the limit.",
            "sum by (conn_type) (mongodb_ss_connections)",
            "{{conn_type}}",
        ),
        _exporter(
            "Operations per second",
            "By kind.",
            "sum by (legacy_op_type) (rate(mongodb_ss_opcounters[$__rate_interval]))",
            "{{legacy_op_type}}",
            "ops",
        ),
    ),
    exporter=True,
)

PIPELINE: Final = Board(
    "dossierbus-pipeline",
    "Dossierbus: pipeline",
    "The way of events and work between the services. Look here when citizens wait and the portal answers.",
    (
        Row(
            "Events",
            (
                parts.lag_seconds(_ONLY),
                parts.lag_events(_ONLY),
                parts.relay_age(_ONLY),
                Panel(
                    "Events published per second",
                    "Acknowledged by the broker, by topic, repeats included.",
                    (Query(parts.rate("dossierbus_events_published_total", "topic", _ONLY), "{{topic}}"),),
                    "ops",
                ),
                parts.handled(_ONLY),
                parts.relay_backlog(_ONLY),
                parts.handling(_ONLY),
                Panel(
                    "Publishing, p95",
                    "From sending a batch to its acknowledgement. Normal: below 50 ms. A dot leads to a trace.",
                    (
                        Query(
                            parts.quantile(0.95, "dossierbus_publish_seconds", "topic", _ONLY),
                            "{{topic}}",
                            exemplar=True,
                        ),
                    ),
                    "s",
                ),
                Panel(
                    "Writes to the changelog",
                    "Record changes of analytics that the broker has not acknowledged. Normal: returns to 0.",
                    (Query("sum(dossierbus_analytics_unsettled_writes)", "writes"),),
                ),
            ),
        ),
        Row(
            "Work outside",
            (
                parts.work_waiting(_ONLY),
                parts.work_due(_ONLY),
                parts.work_done(_ONLY),
                parts.work_seconds(_ONLY),
                parts.circuits(_ONLY),
                Panel(
                    "Circuits open",
                    "1 while calls to a provider are held back; the lines above tell for how long.",
                    (Query(f"max by (provider) (dossierbus_circuit_open{{{_ONLY}}})", "{{provider}}"),),
                    limits=((1, "red"),),
                ),
            ),
        ),
        Row(
            "Dead letters",
            (
                parts.dead_letters(_ONLY),
                Panel(
                    "Letters waiting",
                    "Events of dossiers set aside, until they are redriven: `dossierbus dlq list`. Normal: 0.",
                    (Query(f"max by (group, reason) (dossierbus_dead_letters{{{_ONLY}}})", "{{group}} {{reason}}"),),
                    limits=((1, "red"),),
                ),
                parts.letters_age(_ONLY),
                parts.parity(_ONLY),
            ),
        ),
        Row("Database", (parts.database(_ONLY), parts.group_commits(_ONLY), parts.not_queued(_ONLY))),
        Row("Processes", (parts.replicas(_ONLY), parts.processor(_ONLY), parts.memory(_ONLY))),
        _KAFKA,
        _MONGODB,
    ),
    (Variable("job", "Service", "label_values(dossierbus_events_published_total, job)"),),
)
