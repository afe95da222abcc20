"""Whether a changed event schema still fits the one that was published. Compares two schemas; reads no file.

Within a version a change only adds: a new field that may be absent. Whoever reads today's events with yesterday's
release, or yesterday's journal with today's, must understand them, so anything else (a field removed or renamed, made
required or optional, another type, limit, value list or default, a personal value no longer sealed) is a new version.
Texts (title, description) may change. Only the keywords that our schemas use are judged; others are refused.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

Schema = Mapping[str, Any]

_TEXTS: Final = frozenset({"title", "description", "$schema", "$comment", "examples"})
_SAME: Final = {
    "$id": "the schema's name",
    "type": "the type",
    "const": "the only value",
    "format": "the format",
    "pattern": "the pattern",
    "minLength": "the least length",
    "maxLength": "the greatest length",
    "minimum": "the least value",
    "maximum": "the greatest value",
    "minItems": "the least number of items",
    "maxItems": "the greatest number of items",
    "default": "the value of an absent field",
    "x-classification": "the protection of personal values",
}
_INNER: Final = frozenset({"properties", "required", "enum", "anyOf", "items", "additionalProperties"})


def breaks(published: Schema, changed: Schema, place: str = "") -> list[str]:
    """Return a sentence for each thing that makes `changed` unfit as the same version; none if it is fit.

    `place` is a JSON Pointer to where the two schemas stand.
    """
    found = [*_unknown(changed, place), *_same(published, changed, place), *_values(published, changed, place)]
    found += _fields(published, changed, place)
    found += _options(published, changed, place)
    for keyword in ("items", "additionalProperties"):
        found += _inner(published.get(keyword), changed.get(keyword), f"{place}/{keyword}")
    return found


def _unknown(changed: Schema, place: str) -> Iterator[str]:
    for keyword in sorted(set(changed) - _TEXTS - set(_SAME) - _INNER):
        yield f"{place or '/'}: `{keyword}` is not judged here; express it otherwise or extend the checker"


def _same(published: Schema, changed: Schema, place: str) -> Iterator[str]:
    for keyword, meaning in _SAME.items():
        before, now = published.get(keyword), changed.get(keyword)
        if before != now or (keyword in published) != (keyword in changed):
            yield f"{place or '/'}: {meaning} was {before!r} and would be {now!r}; publish a new version"


def _values(published: Schema, changed: Schema, place: str) -> Iterator[str]:
    before, now = published.get("enum"), changed.get("enum")
    if before is None or now is None:
        if before != now:
            yield f"{place or '/'}: a list of values appears or disappears; publish a new version"
        return
    if gone := sorted(set(before) - set(now)):
        yield f"{place or '/'}: {gone} would not be readable any more in stored journals; publish a new version"
    if added := sorted(set(now) - set(before)):
        yield f"{place or '/'}: readers of the published version refuse {added}; publish a new version"


def _fields(published: Schema, changed: Schema, place: str) -> Iterator[str]:
    before, now = published.get("properties", {}), changed.get("properties", {})
    needed_before, needed_now = set(published.get("required", ())), set(changed.get("required", ()))
    for name in sorted(set(before) - set(now)):
        yield f"{place}/{name}: was removed or renamed; readers may need it; publish a new version"
    for name in sorted(needed_now - needed_before):
        new = "is new and required" if name not in before else "becomes required"
        yield f"{place}/{name}: {new}, but stored events lack it; give it a default or publish a new version"
    for name in sorted((needed_before - needed_now) & set(now)):
        yield f"{place}/{name}: becomes optional, but readers of the published version need it; publish a new version"
    for name in sorted(set(before) & set(now)):
        yield from breaks(before[name], now[name], f"{place}/{name}")


def _options(published: Schema, changed: Schema, place: str) -> Iterator[str]:
    before, now = published.get("anyOf", ()), changed.get("anyOf", ())
    if len(before) != len(now):
        yield f"{place or '/'}: the alternatives are others; publish a new version"
        return
    for index, (one, other) in enumerate(zip(before, now, strict=True)):
        yield from breaks(one, other, f"{place}/anyOf/{index}")


def _inner(before: Any, now: Any, place: str) -> list[str]:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        return breaks(before, now, place)
    return [] if before == now else [f"{place}: was {before!r} and would be {now!r}; publish a new version"]
