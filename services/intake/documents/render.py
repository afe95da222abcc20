"""The entrance: a kind of document, its facts and a language in, the bytes of a PDF out.

Owns the list of kinds. Pure: never reads a clock, never keeps anything; the same input always gives the same bytes.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from services.intake.documents.certificates import debt_register_extract, residence_certificate
from services.intake.documents.facts import DebtRegisterExtract, PaymentSlips, ResidenceCertificate
from services.intake.documents.slips import payment_slips
from services.intake.documents.wording import LANGUAGES, Language, Wording

Model = TypeVar("Model", bound=BaseModel)
KINDS = ("residence-certificate", "debt-register-extract", "payment-slips")


class FactsError(ValueError):
    """The facts do not make the document; the text names fields and expectations and never repeats a value."""


def render(kind: str, facts: Mapping[str, Any], language: Language) -> bytes:
    """Return the PDF/A-2u file of a document.

    `kind` is one of `KINDS`; `facts` has the shape of the model of that kind in `facts.py` (JSON values will do: dates
    as ISO 8601 texts); `language` is de, fr, it or en. Raises FactsError for facts that do not fit and ValueError for a
    kind or language that does not exist.
    """
    if language not in LANGUAGES:
        raise ValueError("language: expected de, fr, it or en")
    wording = Wording(language)
    if kind == "residence-certificate":
        return residence_certificate(_read(ResidenceCertificate, facts), wording)
    if kind == "debt-register-extract":
        return debt_register_extract(_read(DebtRegisterExtract, facts), wording)
    if kind == "payment-slips":
        return payment_slips(_read(PaymentSlips, facts), wording)
    raise ValueError("kind: expected one of " + ", ".join(KINDS))


def _read(model: type[Model], facts: Mapping[str, Any]) -> Model:
    try:
        return model.model_validate(dict(facts))
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False, include_context=False)
        named = "; ".join(f"{'.'.join(map(str, problem['loc'])) or 'facts'}: {problem['msg']}" for problem in problems)
    # Outside of the handler, so that the original with its input is not chained to it.
    raise FactsError(named)
