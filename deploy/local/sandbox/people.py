"""About 200 invented residents of Emmen, the same on every machine. No real person, no I/O.

Valid but invented AHV numbers (prefix 756, EAN-13 check digit, AHVG Art. 50c), eCH-0011 marital status codes.
"""

import random
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

from stdnum import ean

TARGET = 200
_REFERENCE_DAY = date(2026, 1, 1)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_FIRST_NAMES = {
    "1": _words("Noah Luca Elia Matteo Leon Liam Nino David Samuel Jonas Reto Urs Beat Marco Daniel Pascal Ivan Arben"),
    "2": _words("Lea Mia Emma Sofia Lina Nora Anna Elena Laura Sara Chiara Ursina Petra Monika Claire Vesna Ladina"),
}
_SURNAMES = _words(
    "Muster Beispiel Keller Bühler Zimmermann Portmann Lustenberger Rüegg Näf Aregger Bernasconi Rossi De-Bernardi "
    "Favre Rochat Caduff Capaul Petrović Šimić Krasniqi Fernandes Nguyen Achermann Bucheli Müller Meier Wicki Stalder"
)
_STREETS = _words("Lindenweg Rosenstrasse Dorfstrasse Schulhausstrasse Seetalblick Waldweg Mühlegasse Kirchbreite")
_PLACES = ((6020, "Emmenbrücke"), (6032, "Emmen"))
_PREVIOUS_PLACES = ((6003, "Luzern"), (6010, "Kriens"), (6210, "Sursee"), (8001, "Zürich"), (6900, "Lugano"))
_CREDITORS = ("tax_authority", "health_insurance", "telecommunications", "leasing", "private_person")
_DEBT_STATES = ("initiated", "objection", "seizure", "paid", "loss_certificate")


@dataclass(frozen=True)
class Address:
    """eCH-0010 field names, in Switzerland."""

    street: str
    house_number: str
    zip_code: int
    town: str


@dataclass(frozen=True)
class Debt:
    """One entry of the debt-enforcement register; the amount in rappen."""

    date: str
    creditor_category: str
    amount_rappen: int
    state: str


@dataclass(frozen=True)
class Person:
    """A resident. `sex` and `marital_status` are eCH-0044 and eCH-0011 codes; dates are ISO 8601."""

    local_person_id: str
    vn: str
    official_name: str
    first_name: str
    sex: str
    date_of_birth: str
    marital_status: str
    household_size: int
    address: Address
    since: str
    previous_address: Address
    debts: tuple[Debt, ...] = ()

    @property
    def formatted_vn(self) -> str:
        """756.XXXX.XXXX.XX."""
        return f"{self.vn[:3]}.{self.vn[3:7]}.{self.vn[7:11]}.{self.vn[11:]}"


@cache
def residents() -> tuple[Person, ...]:
    """All residents in a stable order; the first two are Lea Muster (no debts) and Noah Beispiel (debts)."""
    rng = random.Random(1024)  # noqa: S311 - repeatable on purpose
    people = list(_well_known())
    while len(people) < TARGET:
        people.extend(_household(rng, len(people)))
    return tuple(people)


def _well_known() -> tuple[Person, ...]:
    """People that tests and walkthroughs name, with two namesakes born on the same day (an ambiguous search)."""
    old, here = Address("Gartenweg", "4", 6003, "Luzern"), Address("Lindenweg", "7", 6020, "Emmenbrücke")
    there = Address("Waldweg", "12b", 6032, "Emmen")
    debts = (
        Debt("2024-02-19", "health_insurance", 184_350, "seizure"),
        Debt("2025-06-03", "tax_authority", 96_000, "initiated"),
    )
    return (
        Person("1000000", "7569217076985", "Muster", "Lea", "2", "1990-05-17", "1", 1, here, "2019-04-01", old),
        Person("1000001", _vn(1), "Beispiel", "Noah", "1", "1984-11-02", "4", 1, there, "2012-09-15", old, debts),
        Person("1000002", _vn(2), "Keller", "Luca", "1", "1985-03-14", "2", 2, here, "2015-01-01", old),
        Person("1000003", _vn(3), "Keller", "Luca", "1", "1985-03-14", "1", 1, there, "2021-07-01", old),
    )


def _household(rng: random.Random, start: int) -> list[Person]:
    size = rng.choice((1, 1, 1, 2, 2, 3, 4))
    surname = rng.choice(_SURNAMES)
    home = _address(rng, _PLACES)
    since = _REFERENCE_DAY - timedelta(days=rng.randrange(30, 9000))
    before = _address(rng, _PREVIOUS_PLACES)
    return [_member(rng, start + number, number, size, surname, home, since, before) for number in range(size)]


def _member(
    rng: random.Random, index: int, number: int, size: int, surname: str, home: Address, since: date, before: Address
) -> Person:
    adult = number < 2
    sex = ("1", "2")[number % 2] if size > 1 and adult else rng.choice("12")
    age_days = rng.randrange(20 * 365, 85 * 365) if adult else rng.randrange(60, 17 * 365)
    born = _REFERENCE_DAY - timedelta(days=age_days)
    alone = rng.choice(("1", "1", "3", "4"))
    status = "1" if not adult else "2" if size > 1 else alone
    return Person(
        local_person_id=str(1_000_000 + index),
        vn=_vn(index),
        official_name=surname,
        first_name=rng.choice(_FIRST_NAMES[sex]),
        sex=sex,
        date_of_birth=born.isoformat(),
        marital_status=status,
        household_size=size,
        address=home,
        since=max(since, born).isoformat(),
        previous_address=before,
        debts=_debts(rng) if adult and rng.random() < 0.15 else (),
    )


def _address(rng: random.Random, places: tuple[tuple[int, str], ...]) -> Address:
    zip_code, town = rng.choice(places)
    return Address(rng.choice(_STREETS), str(rng.randrange(1, 90)) + rng.choice(("", "", "a")), zip_code, town)


def _debts(rng: random.Random) -> tuple[Debt, ...]:
    return tuple(
        Debt(
            date=(_REFERENCE_DAY - timedelta(days=rng.randrange(20, 1800))).isoformat(),
            creditor_category=rng.choice(_CREDITORS),
            amount_rappen=rng.randrange(2_000, 900_000) * 5,
            state=rng.choice(_DEBT_STATES),
        )
        for _ in range(rng.randrange(1, 4))
    )


def _vn(index: int) -> str:
    """The AHV number of the resident at `index`: scattered over the range, never twice (7919 has no factor of 10^9)."""
    body = f"756{(990_000_007 + index * 7919 * 1021) % 10**9:09d}"
    return body + str(ean.calc_check_digit(body))
