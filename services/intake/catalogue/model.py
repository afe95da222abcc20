"""What a municipal service consists of. Owns the shape of the YAML files; starts nothing.

A step names its kind, what it comes after, and what its kind needs. Steps that nothing orders run side by side.
"""

from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from services.intake.formcheck import FormSchema
from services.intake.formrules import Condition, Rule
from shared.calendar import CANTONS, Deadline
from shared.contracts.dossier import PaymentMethod, StepKind
from shared.contracts.status import LANGUAGES, Language


def _deadline(value: object) -> object:
    return Deadline.parse(value) if isinstance(value, str) else value


Texts = dict[Language, str]
Span = Annotated[Deadline, BeforeValidator(_deadline)]
Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]


class Part(BaseModel):
    """Base of all parts: frozen, nothing unknown, so that a typing error is found when the file is read."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Authority(Part):
    """Who is responsible for a step. Another authority takes part as an agency under its id."""

    id: Slug
    name: Texts
    level: Literal["municipality", "canton", "confederation"]
    agency: bool = False


class Claim(Part):
    """A piece of evidence that is fetched instead of asked for: from where, what for, on what legal basis."""

    claim: str
    source: str
    purpose: str
    legal_basis: str
    title: Texts


class StepDefinition(Part):
    """One step of the graph."""

    id: Slug
    kind: StepKind
    after: tuple[Slug, ...] = ()
    title: Texts
    authority: Slug | None = Field(default=None, description="Who steps in; the service's authority if not named.")
    register_name: str | None = None
    evidence: Claim | None = None
    grant_if: Annotated[
        tuple[Condition, ...],
        BeforeValidator(lambda rules: tuple(Condition(**rule) for rule in rules)),
        Field(description="CEL conditions over `form` and `evidence`; if one does not hold, a person decides."),
    ] = ()
    document: str | None = None

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Self:
        needed = {"identity": self.register_name, "evidence": self.evidence, "document": self.document}
        if self.kind in needed and needed[self.kind] is None:
            raise ValueError(f"step {self.id}: expected what a step of kind {self.kind} needs")
        return self


class Fee(Part):
    """What the service costs, in rappen, and how it can be paid."""

    amount: int = Field(ge=0, le=10_000_000)
    currency: Literal["CHF"] = "CHF"
    methods: tuple[PaymentMethod, ...] = ("card", "twint", "invoice")
    legal_basis: str


class Deadlines(Part):
    """How long things may take: what the town promises, and how long the applicant has for what only they can do."""

    decision: Span
    review: Span
    applicant: Span
    payment: Span


class MunicipalService(Part):
    """A municipal service: texts, form, rules, fee, steps, deadlines, retention."""

    id: Slug
    version: int = Field(ge=1)
    title: Texts
    summary: Texts
    ech0070: str | None = None
    canton: str
    authorities: tuple[Authority, ...] = Field(min_length=1, description="The first one is responsible.")
    assurance: int = Field(ge=0, le=4)
    form: dict[str, Any]
    ui: dict[str, dict[str, Any]] = Field(default_factory=dict)
    rules: tuple[dict[str, Any], ...] = ()
    fee: Fee | None = None
    steps: tuple[StepDefinition, ...] = Field(min_length=1)
    deadlines: Deadlines
    retention: Span

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        known: set[str] = set()
        for step in self.steps:
            if not set(step.after) <= known or step.id in known:
                raise ValueError(f"step {step.id}: expected only steps listed before it, each once")
            known.add(step.id)
        authorities = {authority.id for authority in self.authorities}
        if any(step.authority not in (None, *authorities) for step in self.steps):
            raise ValueError("steps: an authority is not listed")
        if self.canton not in CANTONS or any(set(text) != set(LANGUAGES) for text in (self.title, self.summary)):
            raise ValueError(f"expected a Swiss canton and texts in {', '.join(LANGUAGES)}")
        if any(step.kind == "payment" for step in self.steps) and self.fee is None:
            raise ValueError("fee: expected, there is a payment step")
        return self

    @cached_property
    def schema_(self) -> FormSchema:
        """The compiled form schema."""
        return FormSchema(self.form)

    @cached_property
    def plausibility(self) -> tuple[Rule, ...]:
        """The compiled plausibility rules."""
        return tuple(Rule(**rule) for rule in self.rules)

    def compile(self) -> None:
        """Compile form schema and rules now, so that an error shows when the catalogue is read. Raises ValueError."""
        _ = self.schema_, self.plausibility

    @property
    def authority(self) -> Authority:
        """Who is responsible."""
        return self.authorities[0]

    def authority_of(self, step: StepDefinition) -> str:
        """Return the id of who steps in at this step."""
        return step.authority or self.authority.id

    def step(self, step_id: str) -> StepDefinition | None:
        """Return a step by its id."""
        return next((step for step in self.steps if step.id == step_id), None)

    def agencies(self) -> dict[str, tuple[str, ...]]:
        """Return the other authorities that take part, each with its steps."""
        found = {authority.id: authority for authority in self.authorities if authority.agency}
        return {agency: tuple(step.id for step in self.steps if step.authority == agency) for agency in found}
