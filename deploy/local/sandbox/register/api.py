"""The register's HTTP side. Answers only callers with the token; logs no names and changes nobody's data."""

import hmac
from datetime import UTC, date, datetime
from typing import Any

from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel, ConfigDict, model_validator

from deploy.local.sandbox.base import build_app
from deploy.local.sandbox.faults import FaultBox, Faults
from deploy.local.sandbox.people import Address, Person, residents
from deploy.local.sandbox.register.search import by_ahv, by_name
from deploy.local.sandbox.settings import SandboxSettings

MUNICIPALITY = {"municipalityId": 1024, "municipalityName": "Emmen", "cantonAbbreviation": "LU"}
_CIVIL_STATUS = {"1": "single", "2": "married", "3": "widowed", "4": "divorced"}


class RegisterSettings(SandboxSettings):
    """`REGISTER_TOKEN` is the bearer token that callers must show."""

    http_port: int = 8201
    register_token: str = "register-sandbox"  # noqa: S105 - public by intent, for development only


class Search(BaseModel):
    """Either `ahv`, or `official_name`, `first_name` and `date_of_birth` together."""

    model_config = ConfigDict(extra="forbid")

    ahv: str = ""
    official_name: str = ""
    first_name: str = ""
    date_of_birth: date | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "Search":
        if bool(self.ahv) == bool(self.official_name and self.first_name and self.date_of_birth):
            raise ValueError("give either ahv, or official_name, first_name and date_of_birth")
        return self


def create_app(settings: RegisterSettings) -> FastAPI:
    """The register as an ASGI app; it keeps no state, its people are the same on every start."""
    people = residents()
    by_id = {person.local_person_id: person for person in people}
    app = build_app("Sandbox residents' register", FaultBox(Faults))

    def authenticate(request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(token.encode(), settings.register_token.encode()):
            raise HTTPException(401, "bearer token missing or wrong", {"WWW-Authenticate": "Bearer"})

    def known(local_person_id: str) -> Person:
        if local_person_id not in by_id:
            raise HTTPException(404, "no such person")
        return by_id[local_person_id]

    _add_register(app, people, [Depends(authenticate)], known)

    @app.get("/sandbox/persons")
    async def persons() -> dict[str, Any]:
        return {"persons": [_listed(person, people) for person in people]}

    return app


def _add_register(app: FastAPI, people: tuple[Person, ...], access: list[Any], known: Any) -> None:
    @app.post("/v1/persons/search", dependencies=access)
    async def search(wanted: Search) -> dict[str, Any]:
        if wanted.date_of_birth and not wanted.ahv:
            born = wanted.date_of_birth.isoformat()
            found = by_name(people, wanted.official_name, wanted.first_name, born)
        else:
            found = by_ahv(people, wanted.ahv)
        return {"matches": [_identification(person) for person in found]}

    @app.get("/v1/persons/{local_person_id}/residence", dependencies=access)
    async def residence(local_person_id: str) -> dict[str, Any]:
        return _residence(known(local_person_id))

    @app.get("/v1/persons/{local_person_id}/debt-entries", dependencies=access)
    async def debt_entries(local_person_id: str) -> dict[str, Any]:
        person = known(local_person_id)
        entries = [vars(debt) for debt in person.debts]
        known_as = {"localPersonId": local_person_id, "person": _named(person), "address": _address(person.address)}
        return {**known_as, "entries": entries, "asOf": _now()}


def _identification(person: Person) -> dict[str, Any]:
    """eCH-0044 personIdentification with the eCH-0010 address."""
    return {
        "localPersonId": person.local_person_id,
        "vn": person.vn,
        "officialName": person.official_name,
        "firstName": person.first_name,
        "sex": person.sex,
        "dateOfBirth": person.date_of_birth,
        "address": _address(person.address),
    }


def _named(person: Person) -> dict[str, str]:
    return {
        "officialName": person.official_name,
        "firstName": person.first_name,
        "dateOfBirth": person.date_of_birth,
    }


def _residence(person: Person) -> dict[str, Any]:
    return {
        "localPersonId": person.local_person_id,
        "person": _named(person),
        "municipality": MUNICIPALITY,
        "address": _address(person.address),
        "since": person.since,
        "maritalStatus": person.marital_status,
        "civilStatus": _CIVIL_STATUS[person.marital_status],
        "householdSize": person.household_size,
        "previousAddress": _address(person.previous_address),
        "asOf": _now(),
    }


def _address(address: Address) -> dict[str, Any]:
    return {
        "street": address.street,
        "houseNumber": address.house_number,
        "swissZipCode": address.zip_code,
        "town": address.town,
        "country": "CH",
    }


def _listed(person: Person, people: tuple[Person, ...]) -> dict[str, Any]:
    same = by_name(people, person.official_name, person.first_name, person.date_of_birth)
    return _identification(person) | {
        "vn_formatted": person.formatted_vn,
        "email": f"person-{person.local_person_id}@example.ch",
        "sub": f"person-{person.local_person_id}",
        "adult": person.date_of_birth <= f"{datetime.now(UTC).year - 18}",
        "has_debts": bool(person.debts),
        "ambiguous_by_name": len(same) > 1,
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
