"""The words of the mails: Fluent texts in four languages, one pair of subject and body for each status.

Pure. Only the salutation names a person; of the dossier a mail tells the status, its reference, dates and a link.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote
from zoneinfo import ZoneInfo

from babel.dates import format_date
from fluent.runtime import FluentBundle, FluentResource

from services.notifications.domain import Message
from shared.contracts.status import Language
from shared.environment import parse_timestamp

_TEXTS: Final = Path(__file__).parent / "texts"
_LOCALES: Final[dict[Language, str]] = {"de": "de_CH", "fr": "fr_CH", "it": "it_CH", "en": "en_GB"}
_FIRST: Final = {"fr": "1er ", "it": "1° "}
_ZURICH: Final = ZoneInfo("Europe/Zurich")
# Letters, and what names have between them. A dot only before a space or at the end: "evil.example" is no name.
_NAME: Final = re.compile(r"[^\W\d_](?:[^\W\d_]|[ '’-]|\.(?=\s|$)){0,99}")


@dataclass(frozen=True)
class Letter:
    """A mail in words: paragraphs in order, then a labelled link, then the closing lines."""

    language: Language
    subject: str
    paragraphs: tuple[str, ...]
    link_label: str
    link: str
    closing: tuple[str, ...]


def write(message: Message, dossier: str, name: str, *, public_url: str, municipality: str) -> Letter:
    """Put a message into words in its language; a `name` that is none is left out of the salutation."""
    language = message.language
    known = salutation_name(name)
    salutation = text(language, "salutation", name=known) if known else text(language, "salutation-nameless")
    return Letter(
        language=language,
        subject=text(language, f"{message.status}-subject", reference=reference(dossier)),
        paragraphs=(salutation, text(language, f"{message.status}-body"), *_next(message), _refer(language, dossier)),
        link_label=text(language, "link"),
        link=f"{public_url.rstrip('/')}/?dossier={quote(dossier, safe='')}",
        closing=tuple(text(language, "closing", municipality=municipality).splitlines()),
    )


def reference(dossier: str) -> str:
    """What people call a dossier: the first eight characters of its id in two groups, as on its documents."""
    return f"{dossier[:4]}-{dossier[4:8]}".upper()


def salutation_name(name: str) -> str:
    """The name on one line, or nothing for what could smuggle a link or a message into a mail of the town."""
    line = " ".join(unicodedata.normalize("NFC", name).split())
    return line if _NAME.fullmatch(line) else ""


def day(moment: str, language: Language) -> str:
    """An RFC 3339 time as a Swiss calendar day: `5. Dezember 2026`, `1er décembre 2026`, `5 December 2026`."""
    local = parse_timestamp(moment).astimezone(_ZURICH).date()
    written = str(format_date(local, "long", locale=_LOCALES[language]))
    return _FIRST[language] + written[2:] if local.day == 1 and language in _FIRST else written


def text(language: Language, key: str, **values: Any) -> str:
    """A text of `texts/<language>.ftl`; KeyError if it is missing, ValueError if a value for it is."""
    bundle = _bundle(language)
    pattern = bundle.get_message(key).value
    if pattern is None:
        raise KeyError(key)
    written, errors = bundle.format_pattern(pattern, values)
    if errors:
        raise ValueError(f"{language} {key}: {errors[0]}")
    return str(written)


def _next(message: Message) -> tuple[str, ...]:
    """What the applicant can do and until when, or else when to expect news."""
    language, until = message.language, message.expected_by
    action = (text(language, f"action-{message.next_action}"),) if message.next_action else ()
    if until is None:
        return action
    return (*action, text(language, "do-by" if action else "expected-by", date=day(until, language)))


def _refer(language: Language, dossier: str) -> str:
    return text(language, "reference", reference=reference(dossier))


@cache
def _bundle(language: Language) -> FluentBundle:
    # Isolating marks protect text of mixed direction; ours has one, and some mail programs show the marks.
    bundle = FluentBundle([_LOCALES[language].replace("_", "-")], use_isolating=False)
    bundle.add_resource(FluentResource((_TEXTS / f"{language}.ftl").read_text("utf-8")))
    return bundle
