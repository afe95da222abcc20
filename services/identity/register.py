"""The port to the residents' and debt-enforcement register, and its HTTP adapter. Keeps and logs nobody's data.

The register answers in JSON with the element names of eCH-0044 (person), eCH-0010 (address) and eCH-0011 (residence).
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic.alias_generators import to_camel

from services.identity.meters import record_register_call
from shared.errors import Permanent, ProviderUnavailable

log = logging.getLogger(__name__)

TIMEOUT: Final = httpx.Timeout(8.0, connect=2.0)
TOTAL_SECONDS: Final = 10.0


class RegisterRefused(Permanent):
    """The register does not accept what was asked; asking again would not help. Holds the status only."""


class Applicant(BaseModel):
    """The sealed person of a dossier, opened. `date_of_birth` is YYYY-MM-DD, `ahv` with or without dots."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    official_name: str
    first_name: str
    date_of_birth: str
    ahv: str | None = None


class Shape(BaseModel):
    """What the register answers; unknown members are dropped, so that no undeclared data are kept."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, hide_input_in_errors=True)

    def document(self) -> dict[str, Any]:
        """The register's JSON: its own names, without what it did not tell."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class Entry(Shape):
    """A person as the search finds them. `date_of_birth` may be partial (eCH-0044)."""

    local_person_id: str = Field(min_length=1, max_length=64)
    official_name: str
    first_name: str
    date_of_birth: str


class Address(Shape):
    """eCH-0010."""

    street: str | None = None
    house_number: str | None = None
    swiss_zip_code: int | None = None
    town: str
    country: str


class Registered(Shape):
    """The person as the register writes them, for documents: never as somebody typed the name."""

    official_name: str
    first_name: str
    date_of_birth: str


class Municipality(Shape):
    """eCH-0007; the id is the BFS number."""

    municipality_id: int
    municipality_name: str
    canton_abbreviation: str


class ResidenceRecord(Shape):
    """The evidence `residence_record`: where a person lives since when, civil status (eCH-0011), household."""

    local_person_id: str
    person: Registered
    municipality: Municipality
    address: Address
    since: str
    marital_status: str
    civil_status: str
    household_size: int
    previous_address: Address | None = None
    as_of: str


class DebtEntry(BaseModel):
    """One entry of the debt-enforcement register; the amount in rappen."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    date: str
    creditor_category: str
    amount_rappen: int
    state: str


class DebtEntries(Shape):
    """The evidence `debt_entries`: all entries of a person and the debtor's address; an empty list is clean."""

    local_person_id: str
    person: Registered
    address: Address
    entries: tuple[DebtEntry, ...]
    as_of: str


class _Matches(Shape):
    matches: tuple[Entry, ...]


class Register(Protocol):
    """What is asked of a register. Every method raises `ProviderUnavailable` while it does not answer."""

    async def search(self, applicant: Applicant) -> Sequence[Entry]:
        """Entries with the applicant's AHV number if there is one, else with name and date of birth."""
        ...

    async def residence(self, register_id: str) -> ResidenceRecord | None:
        """A person's residence record; None if the register does not know the person."""
        ...

    async def debt_entries(self, register_id: str) -> DebtEntries | None:
        """A person's entries in the debt-enforcement register; None if it does not know the person."""
        ...


Answer = TypeVar("Answer", bound=BaseModel)


class HttpRegister:
    """The register over HTTP; `http` carries its address and our token. See `Register` for the contract.

    Raises `RegisterRefused` for a request that the register does not accept.
    """

    def __init__(self, http: httpx.AsyncClient, total_seconds: float = TOTAL_SECONDS) -> None:
        self._http = http
        self._total_seconds = total_seconds

    async def search(self, applicant: Applicant) -> Sequence[Entry]:
        """Entries with the applicant's AHV number if there is one, else with name and date of birth."""
        by_name = applicant.model_dump(exclude={"ahv"})
        wanted = {"ahv": applicant.ahv} if applicant.ahv else by_name
        found = await self._ask("search", "POST", "v1/persons/search", _Matches, wanted)
        if found is None:
            # The search itself is missing: a wrong address, not a missing person.
            log.error("register_has_no_search", extra={"provider": "register"})
            raise ProviderUnavailable("the register has no search at this address")
        return found.matches

    async def residence(self, register_id: str) -> ResidenceRecord | None:
        """A person's residence record; None if the register does not know the person."""
        return await self._ask(
            "residence", "GET", f"v1/persons/{quote(register_id, safe='')}/residence", ResidenceRecord
        )

    async def debt_entries(self, register_id: str) -> DebtEntries | None:
        """A person's entries in the debt-enforcement register; None if it does not know the person."""
        return await self._ask(
            "debt_entries", "GET", f"v1/persons/{quote(register_id, safe='')}/debt-entries", DebtEntries
        )

    async def _ask(
        self, operation: str, method: str, path: str, shape: type[Answer], body: Mapping[str, Any] | None = None
    ) -> Answer | None:
        try:
            async with asyncio.timeout(self._total_seconds):
                response = await self._http.request(method, path, json=body)
        except (httpx.HTTPError, TimeoutError) as error:
            record_register_call(operation, "unavailable")
            raise ProviderUnavailable(f"the register does not answer: {type(error).__name__}") from None
        outcome = _outcome(response.status_code)
        record_register_call(operation, outcome)
        if outcome == "answered":
            return _answer(operation, response, shape)
        if outcome == "not_found":
            return None
        raise _error(operation, outcome, response.status_code)


@asynccontextmanager
async def open_register(url: str, token: SecretStr) -> AsyncIterator[HttpRegister]:
    """Yield the register at this address; opens connections only when asked something."""
    headers = {"Authorization": f"Bearer {token.get_secret_value()}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=TIMEOUT) as http:
        yield HttpRegister(http)


def _outcome(status: int) -> str:
    if status == httpx.codes.OK:
        return "answered"
    if status == httpx.codes.NOT_FOUND:
        return "not_found"
    # 401 and 403: our token is wrong. An operator mends that; until then nothing is lost.
    again = status >= 500 or status < 400 or status in {401, 403, 408, 425, 429}
    return "unavailable" if again else "refused"


def _error(operation: str, outcome: str, status: int) -> Exception:
    if status in {401, 403}:
        log.error("register_refuses_our_token", extra={"provider": "register", "operation": operation})
    text = f"the register answers {status}"
    return ProviderUnavailable(text) if outcome == "unavailable" else RegisterRefused(text)


def _answer(operation: str, response: httpx.Response, shape: type[Answer]) -> Answer:
    try:
        return shape.model_validate_json(response.content)
    except ValidationError:
        log.error("register_answer_unreadable", extra={"provider": "register", "operation": operation})  # noqa: TRY400
        raise ProviderUnavailable("the register's answer is not what was agreed") from None
