"""From a request's body to a submitted dossier: checks every field, seals what is personal. Decides nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from services.intake.catalogue.model import MunicipalService
from services.intake.formats import is_date
from services.intake.formcheck import FieldError, FormSchema, check_form
from services.intake.formrules import RuleContext, check
from services.intake.people import People
from shared.auth import Caller, assurance_too_low
from shared.calendar import ZURICH
from shared.contracts.dossier import ConsentGiven, DossierSubmitted, PaymentMethod
from shared.contracts.status import Language
from shared.language import texts
from shared.vault import Keyring
from shared.web.problems import FieldProblem, Invalid
from shared.web.sentences import SENTENCES

PURPOSES: Final = ("person", "form", "contact", "evidence", "document")

_PERSON: Final = FormSchema(
    {
        "type": "object",
        "additionalProperties": False,
        "required": ["official_name", "first_name", "date_of_birth"],
        "properties": {
            "official_name": {"type": "string", "format": "name", "minLength": 1, "maxLength": 100},
            "first_name": {"type": "string", "format": "name", "minLength": 1, "maxLength": 100},
            "date_of_birth": {"type": "string", "format": "date"},
            "ahv": {"type": "string", "format": "ahv"},
        },
    }
)
_CONTACT: Final = FormSchema(
    {
        "type": "object",
        "additionalProperties": False,
        "required": ["email"],
        "properties": {
            "email": {"type": "string", "format": "email"},
            "name": {"type": "string", "format": "name", "minLength": 1, "maxLength": 100},
        },
    }
)
_TWICE: Final = texts(
    "Erwartet wird jeder Schritt nur einmal.",
    "Chaque étape est attendue une seule fois.",
    "Ogni fase è attesa una sola volta.",
    "Expected each step only once.",
)


def _whole(value: Any) -> Any:
    """JSON knows no integers (RFC 8259 6): 2.0 is the 2 that a schema asks for, and is stored as one."""
    if isinstance(value, dict):
        return {name: _whole(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_whole(member) for member in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Submission(BaseModel):
    """The body of `POST /v1/dossiers`. `person`, `contact` and `form` are checked field by field."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    service: str = Field(max_length=40, description="Id of a municipal service, see GET /v1/services.")
    language: Language = "de"
    person: dict[str, Any] = Field(description="official_name, first_name, date_of_birth, and ahv if known.")
    contact: dict[str, Any] = Field(description="email, and the name to be addressed by.")
    form: Annotated[dict[str, Any], AfterValidator(_whole)] = Field(description="As the service's form schema asks.")
    consents: tuple[str, ...] = Field(default=(), max_length=20, description="Evidence steps to be fetched at once.")
    payment_method: PaymentMethod | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """A checked submission: the events that open the dossier."""

    submitted: DossierSubmitted
    consents: tuple[ConsentGiven, ...]


def check_submission(service: MunicipalService, body: Submission, caller: Caller, now: datetime) -> None:
    """Raise `Invalid` with every field that is not right, or `AssuranceTooLow` if the sign-in is too weak."""
    if caller.assurance < service.assurance:
        raise assurance_too_low(service.assurance, caller.assurance)
    today = RuleContext(now.astimezone(ZURICH).date())
    errors = [
        *_problems("/person", check_form(_PERSON, body.person)),
        *_unborn(body.person, today.today),
        *_problems("/contact", check_form(_CONTACT, body.contact)),
        *_problems("/form", check(service.schema_, service.plausibility, body.form, today)),
        *_choices(service, body),
    ]
    if errors:
        raise Invalid(errors=errors)


async def accept(
    service: MunicipalService, body: Submission, caller: Caller, people: People, keys: Keyring
) -> Accepted:
    """Return the events of a checked submission, personal values sealed with the dossier's keys."""
    applicant = await people.applicant(caller.subject)
    agencies = {agency: await people.pseudonym(applicant, agency) for agency in service.agencies()}
    name = body.contact.get("name") or f"{body.person['first_name']} {body.person['official_name']}"
    submitted = DossierSubmitted(
        service=service.id,
        service_version=service.version,
        language=body.language,
        applicant=applicant,
        assurance=caller.assurance,
        person=keys.seal("person", "person", body.person),
        form=keys.seal("form", "form", body.form),
        contact=keys.seal("contact", "contact", {"email": body.contact["email"], "name": name}),
        consents=body.consents,
        payment_method=body.payment_method,
        agencies=agencies,
    )
    return Accepted(submitted, tuple(_consent(service, step) for step in body.consents))


def _consent(service: MunicipalService, step_id: str) -> ConsentGiven:
    step = service.step(step_id)
    if step is None or step.evidence is None:
        raise ValueError(f"{step_id} is no evidence step")
    claim = step.evidence
    return ConsentGiven(step=step_id, claim=claim.claim, purpose=claim.purpose, legal_basis=claim.legal_basis)


def _problems(prefix: str, errors: Sequence[FieldError]) -> list[FieldProblem]:
    return [FieldProblem(prefix + error.pointer, error.code, _texts(error.detail)) for error in errors]


def _unborn(person: Mapping[str, Any], today: date) -> list[FieldProblem]:
    born = person.get("date_of_birth")
    if not isinstance(born, str) or not is_date(born) or date.fromisoformat(born) <= today:
        return []
    return [FieldProblem("/person/date_of_birth", "date_past", SENTENCES["date_past"])]


def _texts(detail: Mapping[str, str]) -> Any:
    return texts(detail["de"], detail["fr"], detail["it"], detail["en"])


def _choices(service: MunicipalService, body: Submission) -> list[FieldProblem]:
    evidence = {step.id for step in service.steps if step.evidence}
    found = [
        FieldProblem(f"/consents/{index}", "enum", _one_of(sorted(evidence)))
        for index, consent in enumerate(body.consents)
        if consent not in evidence
    ]
    found += [
        FieldProblem(f"/consents/{index}", "unique", _TWICE)
        for index, consent in enumerate(body.consents)
        if consent in body.consents[:index]
    ]
    methods = service.fee.methods if service.fee else ()
    if body.payment_method is not None and body.payment_method not in methods:
        found.append(FieldProblem("/payment_method", "enum", _one_of(methods)))
    return found


def _one_of(values: Sequence[str]) -> Any:
    words = ", ".join(values) or "–"
    return texts(
        f"Erwartet wird eines von: {words}.",
        f"Une valeur parmi: {words} est attendue.",
        f"È atteso uno di: {words}.",
        f"Expected one of: {words}.",
    )
