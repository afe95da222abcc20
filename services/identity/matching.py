"""Comparing an applicant with register entries. Pure; never guesses: what does not agree exactly goes to a person.

Names are normalised first (umlaut spellings, accents, hyphens, particles, order of double names), then compared
for equality; nothing is scored.
"""

import unicodedata
from collections.abc import Sequence
from typing import Final, Protocol, TypeVar

_SPELLINGS: Final = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "æ": "ae", "œ": "oe", "ø": "oe", "ł": "l", "đ": "d", "ı": "i"}
)
_PARTICLES: Final = frozenset(
    "d da dal dalla de degli dei del della der des di du l la le les van vom von zu zum zur".split()  # noqa: SIM905
)


class Identified(Protocol):
    """Whoever has the three compared attributes; the date is ISO 8601, possibly partial (eCH-0044)."""

    @property
    def official_name(self) -> str:
        """The family name as the register writes it."""
        ...

    @property
    def first_name(self) -> str:
        """All given names as the register writes them."""
        ...

    @property
    def date_of_birth(self) -> str:
        """YYYY-MM-DD; a register may know the month or the year only."""
        ...


Candidate = TypeVar("Candidate", bound=Identified)


def normalised(name: str) -> tuple[str, ...]:
    """The words of a name in sorted order, without case, accents, punctuation and particles.

    "Müller-von Arx" and "ARX MUELLER" are the same. A name that consists of particles only ("Le") keeps them.
    """
    words = _words(name)
    return tuple(sorted(word for word in words if word not in _PARTICLES) or sorted(words))


def same_name(one: str, other: str) -> bool:
    """Whether two names agree, also when one is written together (De Bernardi, Debernardi); empty never agrees."""
    words, others = _words(one), _words(other)
    if not words or not others:
        return False
    return "".join(words) == "".join(others) or normalised(one) == normalised(other)


def differences(applicant: Identified, entry: Identified) -> tuple[str, ...]:
    """The attributes that do not agree, as reasons for `IdentityMismatched`; empty if all agree."""
    compared = (
        ("official_name_differs", same_name(applicant.official_name, entry.official_name)),
        ("first_name_differs", same_name(applicant.first_name, entry.first_name)),
        ("date_of_birth_differs", applicant.date_of_birth == entry.date_of_birth),
    )
    return tuple(reason for reason, agrees in compared if not agrees)


def choose(applicant: Identified, found: Sequence[Candidate]) -> Candidate | tuple[str, ...]:
    """The one entry that agrees with the applicant, or the reasons why there is none."""
    agreeing = [entry for entry in found if not differences(applicant, entry)]
    if len(agreeing) == 1:
        return agreeing[0]
    if not found:
        return ("not_found",)
    return ("several_matches",) if len(found) > 1 else differences(applicant, found[0])


def _words(name: str) -> tuple[str, ...]:
    # Compose first: a "u" with a combining diaeresis is an umlaut too, and "℠" is made of capitals.
    spelled = unicodedata.normalize("NFKC", name).lower().translate(_SPELLINGS)
    plain = "".join(sign for sign in unicodedata.normalize("NFKD", spelled) if not unicodedata.combining(sign))
    # Spelled again: without its macron "ǣ" is an "æ".
    return tuple("".join(sign if sign.isalnum() else " " for sign in plain.translate(_SPELLINGS)).split())
