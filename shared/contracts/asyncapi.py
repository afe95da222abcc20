"""The AsyncAPI 3.0 description of all topics: channels, operations, messages, CloudEvents headers. Writes nothing.

Payloads are references to the schema files beside it, so that each schema exists once.
"""

from collections.abc import Iterable
from typing import Any, Final

from shared.contracts.event import Event
from shared.contracts.flow import CONSUMERS
from shared.contracts.topics import EVENT_TOPICS, GROUPS, KPIS, Topic, agency_topic, dead_letter_topic, events_of

Json = dict[str, Any]

_TEXT: Final = {"type": "string", "minLength": 1}
_HEADERS: Final[dict[str, Json]] = {
    "ce_specversion": {"type": "string", "const": "1.0"},
    "ce_id": {**_TEXT, "description": "`<subject>:<sequence>[@<epoch>]`, unique for ever within its source."},
    "ce_source": {**_TEXT, "format": "uri-reference", "description": "`//dossierbus/<tenant>/<service>`."},
    "ce_type": {**_TEXT, "description": "`org.dossierbus.<aggregate>.<past participle>.v<N>`."},
    "ce_subject": {**_TEXT, "description": "Id of the aggregate: the dossier, or the event that asked for it."},
    "ce_sequence": {"type": "string", "pattern": r"^\d{10}$", "description": "Counts per subject, without a gap."},
    "ce_time": {"type": "string", "format": "date-time", "description": "RFC 3339, UTC, milliseconds."},
    "ce_tenant": {**_TEXT, "description": "The municipality."},
    "ce_partitionkey": {**_TEXT, "description": "The record's key: the dossier's id."},
    "ce_dataschema": {"type": "string", "format": "uri"},
    "ce_traceparent": {"type": "string", "description": "W3C Trace Context, as an attribute."},
    "ce_epoch": {
        "type": "string",
        "pattern": r"^\d{1,8}$",
        "description": "Recorded after this restore.",
    },
    "ce_mac": {
        "type": "string",
        "pattern": "^[0-9a-f]{64}$",
        "description": "Chains the events of a journal; none on agency topics.",
    },
    "traceparent": {"type": "string", "description": "W3C Trace Context, as a header of the transport."},
    "content-type": {"type": "string", "const": "application/json"},
}
_OPTIONAL: Final = frozenset({"ce_traceparent", "ce_epoch", "ce_mac", "traceparent"})
_CLOUD_EVENT: Final[Json] = {
    "type": "object",
    "required": [name for name in _HEADERS if name not in _OPTIONAL],
    "properties": _HEADERS,
}
_LETTER: Final[Json] = {
    "type": "object",
    "required": ["dlq_reason", "dlq_origin"],
    "properties": {
        "dlq_reason": {"type": "string", "description": "Why; names fields, never values."},
        "dlq_origin": {"type": "string", "description": "`<topic>/<partition>/<offset>` of the record."},
        "dlq_at": {"type": "string", "format": "date-time", "description": "When it was set aside (RFC 3339)."},
        "dlq_follows": {"type": "string", "description": "Set when a marked dossier's redrive handles it in order."},
    },
}


def description() -> Json:
    """Return the whole document."""
    agency = Topic(agency_topic("{agency}"), "intake", (), ("agency",))
    topics = {topic.name: topic for topic in EVENT_TOPICS} | {"agency.events": agency}
    channels = {key: _channel(topic) for key, topic in topics.items()}
    operations = {key: value for name, topic in topics.items() for key, value in _operations(name, topic).items()}
    messages = {event.__name__: _message(event) for topic in topics.values() for event in events_of(topic.aggregates)}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Dossierbus events",
            "version": "1",
            "description": "Facts about dossiers, CloudEvents 1.0 in binary mode on Kafka. See docs/events.md.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {**channels, KPIS: _kpis(), "dead-letters": _dead_letters()},
        "operations": {**operations, "analytics.writes.kpis": _operation("send", KPIS, ["KpiAggregate"])},
        "components": {
            "messages": {**messages, "KpiAggregate": _kpi_message(), "DeadLetter": _letter_message()},
            "messageTraits": {"cloudEvent": {"headers": {"$ref": "#/components/schemas/CloudEventHeaders"}}},
            "schemas": {"CloudEventHeaders": _CLOUD_EVENT},
        },
    }


def _channel(topic: Topic) -> Json:
    channel: Json = {
        "address": topic.name,
        "description": f"Written by {topic.writer} alone.",
        "messages": _references(event.__name__ for event in events_of(topic.aggregates)),
        "bindings": _kafka({"cleanup.policy": ["delete"], "retention.ms": topic.retention_ms}),
    }
    if topic.aggregates == ("agency",):
        channel["parameters"] = {"agency": {"description": "Id of the one agency that may read the topic."}}
    return channel


def _kafka(configuration: Json) -> Json:
    return {"kafka": {"topicConfiguration": configuration, "bindingVersion": "0.5.0"}}


def _references(names: Iterable[str]) -> Json:
    return {name: {"$ref": f"#/components/messages/{name}"} for name in names}


def _operations(channel: str, topic: Topic) -> dict[str, Json]:
    published = events_of(topic.aggregates)
    writes = {f"{topic.writer}.writes.{channel}": _operation("send", channel, [e.__name__ for e in published])}
    reads = {
        f"{group}.reads.{channel}": _operation(
            "receive", channel, [event.__name__ for event in published if group in CONSUMERS.get(event, ())]
        )
        for group in topic.readers
    }
    return writes | reads


def _operation(action: str, channel: str, messages: Iterable[str]) -> Json:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages],
    }


def _message(event: type[Event]) -> Json:
    return {
        "name": event.type,
        "title": event.__name__,
        "summary": (event.__doc__ or "").split("\n", maxsplit=1)[0],
        "contentType": "application/json",
        "payload": {"$ref": f"schemas/{event.type}.json"},
        "traits": [{"$ref": "#/components/messageTraits/cloudEvent"}],
        "bindings": {"kafka": {"key": {"type": "string", "description": "Dossier id."}, "bindingVersion": "0.5.0"}},
    }


def _kpis() -> Json:
    return {
        "address": KPIS,
        "description": "Live KPIs per partition, compacted. Written by analytics alone, for its own API.",
        "messages": _references(["KpiAggregate"]),
        "bindings": _kafka({"cleanup.policy": ["compact"]}),
    }


def _kpi_message() -> Json:
    return {"name": "kpi.aggregate", "summary": "Internal to analytics.", "payload": {"type": "object"}}


def _dead_letters() -> Json:
    return {
        "address": dead_letter_topic("{group}"),
        "description": "What a consumer group could not handle, as it came, until it is redriven.",
        "parameters": {"group": {"description": "A consumer group.", "enum": list(GROUPS)}},
        "messages": _references(["DeadLetter"]),
    }


def _letter_message() -> Json:
    return {"name": "dead.letter", "summary": "The record unchanged, with a reason.", "headers": _LETTER}
