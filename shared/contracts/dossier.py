"""Events of a dossier, written by intake alone, on the topic `intake.events`.

The subject is the dossier's id. A request to another service (`…Requested`) gives its event id
(`<dossier>:<sequence>`) to the aggregate that the other service makes for it.
"""

from typing import Literal

from pydantic import Field

from shared.contracts.event import Code, Event, Rappen, Sealed, Step
from shared.contracts.status import Language, NextAction, StatusCode, WaitingFor

Ending = Literal["completed", "refused", "withdrawn", "expired"]
StepKind = Literal["identity", "evidence", "payment", "decision", "document"]
PaymentMethod = Literal["card", "twint", "invoice"]
RequestOutcome = Literal[
    "confirmed",
    "mismatched",
    "delayed",
    "failed",
    "fetched",
    "unavailable",
    "checkout_created",
    "invoiced",
    "succeeded",
    "declined",
    "expired",
    "cancelled",
    "refunded",
]


class DossierSubmitted(Event, aggregate="dossier"):
    """A citizen handed in a request; it is accepted and will end or be visibly waiting."""

    service: Code
    service_version: int = Field(ge=1)
    language: Language
    applicant: str = Field(description="Random token of the person, kept in the vault; never derived from a name.")
    assurance: int = Field(ge=0, le=4, description="Level of the login, 0 anonymous to 4 verified with AHV number.")
    person: Sealed
    form: Sealed
    contact: Sealed
    consents: tuple[Step, ...] = Field(default=(), description="Evidence steps agreed to when submitting.")
    payment_method: PaymentMethod | None = None
    agencies: dict[str, str] = Field(default_factory=dict, description="Agency id -> its pseudonym of the person.")


class IdentityCheckRequested(Event, aggregate="dossier"):
    """Opens an identity step: compare the applicant with the register."""

    step: Step
    register_name: Code
    person: Sealed


class ConsentRequested(Event, aggregate="dossier"):
    """Opens an evidence step whose consent was not given when submitting."""

    step: Step
    claim: Code
    purpose: Code
    legal_basis: str


class ConsentGiven(Event, aggregate="dossier"):
    """The citizen asked the town to fetch this evidence, for this purpose, on this legal basis."""

    step: Step
    claim: Code
    purpose: Code
    legal_basis: str


class ConsentRefused(Event, aggregate="dossier"):
    """The citizen does not want this evidence to be fetched; a person will decide without it."""

    step: Step
    claim: Code


class EvidenceRequested(Event, aggregate="dossier"):
    """Fetch a piece of evidence that the administration already has (once-only principle)."""

    step: Step
    claim: Code
    purpose: Code
    legal_basis: str
    consent: str = Field(description="Id of the event that records the consent.")
    register_id: Sealed


class EvidenceAccepted(Event, aggregate="dossier"):
    """The citizen saw the preview and lets the evidence be used (SDG Regulation (EU) 2018/1724, Art. 14)."""

    step: Step
    claim: Code
    fields_reused: int = Field(ge=0)


class EvidenceRejected(Event, aggregate="dossier"):
    """The citizen saw the preview and does not want it used; a person will decide without it."""

    step: Step
    claim: Code


class PaymentRequested(Event, aggregate="dossier"):
    """Collect a fee. A new attempt after a declined or abandoned one is a new event, so a new payment."""

    step: Step
    amount: Rappen
    currency: Literal["CHF"]
    method: PaymentMethod
    purpose: Code = Field(description="What is paid: the municipal service's id.")
    language: Language
    attempt: int = Field(ge=1)
    pay_by: str = Field(description="RFC 3339; afterwards the attempt expires.")


class ReviewRequested(Event, aggregate="dossier"):
    """A person must step in: a case worker of the town or of another authority."""

    step: Step
    authority: Code
    reasons: tuple[Code, ...]


class DossierDecided(Event, aggregate="dossier"):
    """The request was granted or refused, by rule or by a person."""

    step: Step
    outcome: Literal["granted", "refused"]
    automatic: bool
    authority: Code
    reasons: tuple[Code, ...] = ()


class DocumentIssued(Event, aggregate="dossier"):
    """The PDF is made, stored encrypted and can be downloaded by the applicant."""

    step: Step
    document: str
    kind: Code
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Of the plain PDF, so that a copy can be verified.")
    size: int = Field(ge=1)


class OutcomeRecorded(Event, aggregate="dossier"):
    """Another service told what became of a request; recorded whether or not the step still waits for it."""

    step: Step
    request: str = Field(description="Id of the event that made the request.")
    reported_by: str = Field(description="Id of the other service's event.")
    outcome: RequestOutcome
    reasons: tuple[Code, ...] = ()
    sealed: Sealed | None = Field(default=None, description="The register id of the person, or the evidence.")
    fields: int = Field(default=0, ge=0)
    url: str | None = Field(default=None, max_length=2048)
    reference: str | None = Field(default=None, description="QRR reference of a bill.")


class StepOpened(Event, aggregate="dossier"):
    """A step that intake does by itself (decision by rule, document) has begun."""

    step: Step
    kind: StepKind


class RulesEvaluated(Event, aggregate="dossier"):
    """The rules of the decision were applied. They grant or ask for a person; they never refuse (DSG Art. 21)."""

    step: Step
    outcome: Literal["granted", "review"]
    reasons: tuple[Code, ...] = ()


class ReviewCompleted(Event, aggregate="dossier"):
    """A person answered a review."""

    step: Step
    outcome: Literal["accepted", "refused"]
    authority: Code
    reviewer: str = Field(description="Random token of the case worker or the agency's id.")
    reasons: tuple[Code, ...] = ()


class StepCompleted(Event, aggregate="dossier"):
    """A step is done; what it opens follows in the same write."""

    step: Step
    kind: StepKind


class StepCancelled(Event, aggregate="dossier"):
    """An open request to another service is no longer wanted."""

    step: Step
    kind: StepKind
    request: str = Field(description="Id of the event that made the request.")


class DossierStatusChanged(Event, aggregate="dossier"):
    """The public status is another one; the applicant is told once for each of these events."""

    code: StatusCode
    waiting_for: WaitingFor
    next_action: NextAction | None = None
    expected_by: str | None = Field(default=None, description="RFC 3339: when the next change is expected.")
    service: Code
    language: Language
    contact: Sealed


class ApplicantNotified(Event, aggregate="dossier"):
    """What became of a message about a status, for the timeline."""

    message: str
    outcome: Literal["sent", "failed", "suppressed"]


class DossierWithdrawn(Event, aggregate="dossier"):
    """The applicant withdrew the request."""


class DossierExpired(Event, aggregate="dossier"):
    """A deadline passed that the applicant had to keep."""

    step: Step | None


class DossierClosed(Event, aggregate="dossier"):
    """Nothing more will happen to this dossier but late facts (a refund, a bounced message)."""

    ending: Ending
