"""Who can log in: invented residents and staff, and which claims each assurance level may reveal. No I/O."""

from dataclasses import dataclass, field
from typing import Any

from deploy.local.sandbox.people import Person, residents

ACR_PREFIX = "urn:qa.agov.ch:names:tc:ac:classes:"
ACR_VALUES = tuple(f"{ACR_PREFIX}{level}" for level in (100, 200, 300, 400))
IDENTITY_SCOPES = frozenset({"openid", "profile", "email"})
_RESIDENTS_SHOWN = 12


@dataclass(frozen=True)
class Account:
    """A login. `role` is the one scope of the product it may be granted."""

    subject: str
    name: str
    role: str
    person: Person | None = None
    claims: dict[str, Any] = field(default_factory=dict)


def accounts() -> tuple[Account, ...]:
    """Staff last; subjects are stable."""
    return tuple(_resident(person) for person in residents()[:_RESIDENTS_SHOWN]) + _STAFF


def find_account(subject: str) -> Account | None:
    """The account of that subject, also of residents the login page does not list."""
    for person in residents():
        if f"person-{person.local_person_id}" == subject:
            return _resident(person)
    return next((account for account in _STAFF if account.subject == subject), None)


def identity_claims(account: Account, scopes: frozenset[str], acr: str) -> dict[str, Any]:
    """OpenID claims for the scopes; names are verified from class 300, the AHV number exists only in class 400."""
    claims: dict[str, Any] = {"sub": account.subject, "acr": acr, **account.claims}
    person = account.person
    if "email" in scopes:
        claims |= {"email": f"{account.subject}@example.ch", "email_verified": True}
    if "profile" in scopes:
        claims |= {"name": account.name, "locale": "de-CH"}
    if person and "profile" in scopes:
        claims |= {
            "given_name": person.first_name,
            "family_name": person.official_name,
            "birthdate": person.date_of_birth,
        }
        if acr == ACR_VALUES[3]:
            claims["ahv"] = person.formatted_vn
    return claims


def _resident(person: Person) -> Account:
    name = f"{person.first_name} {person.official_name}"
    return Account(f"person-{person.local_person_id}", name, "citizen", person)


_STAFF = (
    Account("caseworker-1", "Ursina Amtsmann", "caseworker"),
    Account("caseworker-2", "Reto Schalter", "caseworker"),
    Account("operator-1", "Chiara Betrieb", "operator"),
    Account("agency-1", "Kantonales Amt", "agency", claims={"agency": "kanton-lu-steuern"}),
)
