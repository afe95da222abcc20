"""Words, dates and amounts of documents in one language.

Owns the reading of `texts.yaml` and the Swiss way of writing dates and amounts. Never draws.
"""

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Literal

import yaml
from babel.dates import format_date

from services.intake.documents.facts import Address

Language = Literal["de", "fr", "it", "en"]
LANGUAGES: tuple[Language, ...] = ("de", "fr", "it", "en")
_TEXTS = Path(__file__).parent / "texts.yaml"


@dataclass(frozen=True, slots=True)
class Wording:
    """The voice of one language; asking for a text that does not exist raises KeyError."""

    language: Language

    def text(self, key: str, **values: object) -> str:
        """Return the text of `texts.yaml` under `key`, its placeholders filled with `values`."""
        return texts()[key][self.language].format(**values)

    def day(self, day: date) -> str:
        """Write a day out, for example `1. August 2026`, `1er août 2026`, `1° agosto 2026`, `1 August 2026`."""
        written = format_date(day, format="long", locale="en_GB" if self.language == "en" else f"{self.language}_CH")
        first = {"fr": "1er", "it": "1°"}.get(self.language) if day.day == 1 else None
        return f"{first}{written[1:]}" if first else written


@lru_cache(maxsize=1)
def texts() -> dict[str, dict[str, str]]:
    """All texts: key, language, text."""
    loaded: dict[str, dict[str, str]] = yaml.safe_load(_TEXTS.read_text(encoding="utf-8"))
    return loaded


def amount(rappen: int, separator: str = "\u2019") -> str:
    """Write an amount in francs with two decimals, thousands set apart: `1’234.50`."""
    return f"{rappen // 100:,}".replace(",", separator) + f".{rappen % 100:02d}"


def street_line(address: Address) -> str:
    """Street and house number, or nothing when there is no street."""
    return f"{address.street} {address.house_number}".strip()


def town_line(address: Address) -> str:
    """Postal code and town, with the country's code where it is not Switzerland."""
    abroad = "" if address.country == "CH" else f"{address.country}-"
    return f"{abroad}{address.postal_code} {address.town}"


def address_lines(address: Address) -> tuple[str, ...]:
    """The printed lines of an address, without empty ones."""
    return tuple(line for line in (street_line(address), town_line(address)) if line)
