"""The four languages of every text that leaves the system, and choosing one of them.

Romansh speakers get German; it never translates.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, Literal, TypeAlias, get_args

Language: TypeAlias = Literal["de", "fr", "it", "en"]
Texts: TypeAlias = Mapping[Language, str]

LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
DEFAULT: Final[Language] = "de"


def texts(de: str, fr: str, it: str, en: str) -> Texts:
    """One text in all four languages; a missing one is a type error."""
    return {"de": de, "fr": fr, "it": it, "en": en}


def supported(tag: str) -> Language | None:
    """The language of a BCP 47 tag such as `fr-CH`, or None if we do not speak it."""
    primary = tag.strip().lower().replace("_", "-").partition("-")[0]
    return next((language for language in LANGUAGES if language == primary), None)


def pick(choices: Texts | str, language: Language) -> str:
    """The text in `language`; a plain string is a text without languages."""
    return choices if isinstance(choices, str) else choices[language]


@lru_cache(maxsize=256)
def negotiate(accept_language: str | None) -> Language:
    """The best of our languages for an Accept-Language header (RFC 9110 12.5.4); German when none fits."""
    ranked: list[tuple[float, int, Language]] = []
    for position, item in enumerate((accept_language or "")[:200].split(",")):
        tag, _, parameters = item.partition(";")
        language = DEFAULT if tag.strip() == "*" else supported(tag)
        quality = _quality(parameters)
        if language is not None and quality > 0:
            ranked.append((-quality, position, language))
    return min(ranked)[2] if ranked else DEFAULT


def _quality(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
