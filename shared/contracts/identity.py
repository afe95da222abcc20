"""Events of identity checks and evidence fetches, written by identity alone, on the topic `identity.events`.

The subject is the id of the requesting event (`<dossier>:<sequence>`), the Kafka key the dossier's id.
"""

from typing import Literal

from pydantic import Field

from shared.contracts.event import Code, Event, Sealed, Step


class IdentityCheckOpened(Event, aggregate="identity"):
    """The check was taken up; it goes on until it is decided, or is given up at `give_up_at` (RFC 3339)."""

    step: Step
    register_name: Code
    person: Sealed
    give_up_at: str


class IdentityConfirmed(Event, aggregate="identity"):
    """The register knows this person and every compared attribute agrees."""

    step: Step
    register_id: Sealed
    register_name: Code


class IdentityMismatched(Event, aggregate="identity"):
    """The register contradicts the applicant; names of attributes only, never values."""

    step: Step
    reasons: tuple[Code, ...] = Field(min_length=1)


class IdentityCheckDelayed(Event, aggregate="identity"):
    """The register does not answer; the check goes on by itself."""

    step: Step
    attempts: int = Field(ge=1)


class IdentityCheckFailed(Event, aggregate="identity"):
    """The check was given up (register away too long, data erased); a person must step in."""

    step: Step
    reason: Code


class IdentityCheckCancelled(Event, aggregate="identity"):
    """The dossier no longer wants the check."""

    step: Step


class EvidenceFetchOpened(Event, aggregate="evidence"):
    """The fetch was taken up; it goes on until it has an outcome, or is given up at `give_up_at` (RFC 3339)."""

    step: Step
    claim: Code
    register_id: Sealed
    give_up_at: str


class EvidenceFetched(Event, aggregate="evidence"):
    """The evidence lies ready for the applicant's preview."""

    step: Step
    claim: Code
    source: Code
    fields: int = Field(ge=0, description="How many fields the applicant need not type again.")
    evidence: Sealed


class EvidenceDelayed(Event, aggregate="evidence"):
    """The source does not answer; the fetch goes on by itself."""

    step: Step
    attempts: int = Field(ge=1)


class EvidenceUnavailable(Event, aggregate="evidence"):
    """The evidence cannot be had (source away too long, no record); a person must step in."""

    step: Step
    claim: Code
    reason: Literal["not_found", "source_unavailable", "erased"]


class EvidenceFetchCancelled(Event, aggregate="evidence"):
    """The dossier no longer wants the evidence."""

    step: Step
