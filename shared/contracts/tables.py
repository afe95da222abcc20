"""The generated tables of `docs/events.md`. Derived from topics, events and flow; writes nothing."""

import re
from collections.abc import Iterable, Sequence

from shared.contracts.event import Event, events
from shared.contracts.flow import CONSUMERS, STEPS
from shared.contracts.topics import (
    DAY_MS,
    EVENT_TOPICS,
    GROUPS,
    KPIS,
    Topic,
    agency_topic,
    all_topics,
    dead_letter_topic,
    events_of,
)


def tables() -> dict[str, str]:
    """Return Markdown by the name of its place."""
    places = {"topics": _topics()}
    for topic in EVENT_TOPICS:
        places[topic.name] = _events(events_of(topic.aggregates), topic)
    agency = Topic(agency_topic("<id>"), "intake", (), ("agency",))
    return {**places, "agency.events": _events(events_of(("agency",)), agency), "fields": _fields()}


def filled(page: str) -> str:
    """Return the page with its generated places filled. Raises `ValueError` for a place that it lacks."""
    for name, table in tables().items():
        start, end = f"<!-- generated: {name} -->", f"<!-- end: {name} -->"
        place = re.compile(re.escape(start) + ".*?" + re.escape(end), re.DOTALL)
        if len(place.findall(page)) != 1:
            raise ValueError(f"expected exactly one place {start} … {end}")
        before, _, after = page.partition(place.findall(page)[0])
        page = f"{before}{start}\n{table}\n{end}{after}"
    return page


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _topics() -> str:
    """Return every kind of topic once: one agency and one dead-letter topic stand for all."""
    named = {dead_letter_topic(group): dead_letter_topic("<group>") for group in GROUPS}
    rows = {named.get(topic.name, topic.name): topic for topic in all_topics(("<id>",))}
    groups = ", ".join(f"`{group}`" for group in GROUPS)
    table = _table(
        ("Topic", "Written only by", "Read by", "Kept"), [_topic(name, topic) for name, topic in rows.items()]
    )
    return f"{table}\n\nConsumer groups: {groups}."


def _topic(name: str, topic: Topic) -> tuple[str, ...]:
    writer = "its consumer group" if topic.writer in GROUPS and not topic.aggregates and name != KPIS else topic.writer
    readers = "that agency alone" if topic.aggregates == ("agency",) else ", ".join(topic.readers)
    kept = "newest per key (compacted)" if topic.compacted else f"{topic.retention_ms // DAY_MS} days"
    return f"`{name}`", writer, readers, kept


def _events(found: Iterable[type[Event]], topic: Topic) -> str:
    readers = "its agency" if topic.aggregates == ("agency",) else "nobody: the applicant's timeline and the audit"
    rows = [
        (
            f"[`{event.__name__}`](contracts/schemas/{event.type}.json)",
            (event.__doc__ or "").split("\n", maxsplit=1)[0],
            ", ".join(CONSUMERS.get(event, ())) or readers,
            STEPS.get(event, "–"),
        )
        for event in found
    ]
    return f"Producer: **{topic.writer}**.\n\n" + _table(("Event", "Says", "Consumers", "Step"), rows)


def _fields() -> str:
    """Return which events carry sealed personal fields."""
    rows = [
        (f"`{event.__name__}`", ", ".join(f"`{name}`" for name in sealed))
        for event in events().values()
        if (sealed := sealed_fields(event))
    ]
    return _table(("Event", "Sealed fields"), rows)


def sealed_fields(event: type[Event]) -> tuple[str, ...]:
    """Return the names of the fields that hold encrypted personal values."""
    properties = event.model_json_schema().get("properties", {})
    return tuple(name for name, field in properties.items() if "sealed" in _classifications(field))


def _classifications(field: dict[str, object]) -> set[object]:
    options = field.get("anyOf", ())
    return {part.get("x-classification") for part in (field, *(options if isinstance(options, list) else ()))}
