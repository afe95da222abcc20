"""The residents' register, asked as the identity service would."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from stdnum.ch import ssn

from deploy.local.sandbox.register import RegisterSettings, create_app
from deploy.local.sandbox.testing import free_port, serving

LEA = "756.9217.0769.85"


@pytest.fixture(scope="module")
def register(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client with the right token."""
    port, data_dir = free_port(), Path(tmp_path_factory.mktemp("register"))
    app = create_app(RegisterSettings(data_dir=data_dir, http_port=port, register_token="right"))
    headers = {"Authorization": "Bearer right"}
    with serving(app, port) as url, httpx.Client(base_url=url, headers=headers, timeout=5) as client:
        yield client


def _search(register: httpx.Client, **wanted: str) -> list[dict[str, Any]]:
    answer = register.post("/v1/persons/search", json=wanted)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["matches"])


def _test_people(register: httpx.Client) -> list[dict[str, Any]]:
    return list(register.get("/sandbox/persons").json()["persons"])


@pytest.mark.parametrize("ahv", [LEA, LEA.replace(".", "")])
def test_search_by_ahv_number_finds_the_person(register: httpx.Client, ahv: str) -> None:
    """An AHV number, with or without dots, finds exactly its holder in eCH-0044 and eCH-0010 terms."""
    (match,) = _search(register, ahv=ahv)
    assert (match["officialName"], match["firstName"], match["dateOfBirth"]) == ("Muster", "Lea", "1990-05-17")
    assert (match["vn"], match["sex"]) == ("7569217076985", "2")
    assert (match["address"]["swissZipCode"], match["address"]["town"]) == (6020, "Emmenbrücke")


def test_search_by_name_ignores_spelling_variants(register: httpx.Client) -> None:
    """Capitals and ue for ü find the same people as the registered spelling."""
    person = next(p for p in _test_people(register) if "ü" in p["officialName"])
    name, first, born = person["officialName"], person["firstName"], person["dateOfBirth"]
    plain = _search(register, official_name=name, first_name=first, date_of_birth=born)
    other = _search(
        register, official_name=name.replace("ü", "ue").upper(), first_name=first.lower(), date_of_birth=born
    )
    assert plain == other
    assert person["localPersonId"] in [match["localPersonId"] for match in plain]


def test_namesakes_are_both_returned(register: httpx.Client) -> None:
    """Two people of one name and birthday are two matches: the caller must not pick one."""
    matches = _search(register, official_name="Keller", first_name="Luca", date_of_birth="1985-03-14")
    assert len({match["vn"] for match in matches}) == 2


def test_unknown_people_are_no_match(register: httpx.Client) -> None:
    """A valid number that nobody has is an empty answer, not an error."""
    assert _search(register, ahv="756.1234.5678.97") == []


@pytest.mark.parametrize(
    "wanted",
    [{}, {"ahv": LEA, "official_name": "Muster", "first_name": "Lea", "date_of_birth": "1990-05-17"}, {"name": "x"}],
)
def test_unclear_searches_are_refused(register: httpx.Client, wanted: dict[str, str]) -> None:
    """A search that is empty, double or misspelt is refused with 422."""
    assert register.post("/v1/persons/search", json=wanted).status_code == 422


def test_residence_record(register: httpx.Client) -> None:
    """The residence record says since when, in which household, and from where the person came."""
    record = register.get("/v1/persons/1000000/residence").json()
    assert (record["since"], record["civilStatus"], record["householdSize"]) == ("2019-04-01", "single", 1)
    assert record["municipality"]["municipalityId"] == 1024
    assert record["previousAddress"]["town"] == "Luzern"


def test_debt_entries(register: httpx.Client) -> None:
    """Debt entries are listed in rappen with their state; a person without any has an empty list."""
    entries = register.get("/v1/persons/1000001/debt-entries").json()
    assert [(e["amount_rappen"], e["state"]) for e in entries["entries"]] == [
        (184_350, "seizure"),
        (96_000, "initiated"),
    ]
    assert entries["asOf"].endswith("Z")
    assert register.get("/v1/persons/1000000/debt-entries").json()["entries"] == []


def test_strangers_and_unknown_ids(register: httpx.Client) -> None:
    """A wrong token is 401 everywhere, an unknown person 404."""
    for scheme in ("Bearer wrong", "Basic right"):
        answer = register.get("/v1/persons/1000000/residence", headers={"Authorization": scheme})
        assert answer.status_code == 401
    assert register.get("/v1/persons/1/residence").status_code == 404


def test_people_are_valid_and_varied(register: httpx.Client) -> None:
    """About 200 people, each with a valid and different AHV number; some have debts, some are children."""
    people = _test_people(register)
    assert len(people) >= 200
    assert all(ssn.is_valid(person["vn"]) for person in people)
    assert len({person["vn"] for person in people}) == len(people)
    assert len({person["localPersonId"] for person in people}) == len(people)
    assert 10 < sum(person["has_debts"] for person in people) < 100
    assert any(not person["adult"] for person in people)
