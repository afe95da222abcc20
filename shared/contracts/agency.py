"""Events for other authorities, written by intake on `agency.<id>.events`. They carry no personal field.

Each agency has its own gap-free sequence per dossier, starting with `DossierShared`. Details are read through the
API, which checks the grant at that moment and logs the access.
"""

from typing import Literal

from pydantic import Field

from shared.contracts.dossier import Ending
from shared.contracts.event import Code, Event, Step


class DossierShared(Event, aggregate="agency"):
    """The first event an agency gets of a dossier: what it is and where the granted details are read."""

    service: Code
    service_version: int = Field(ge=1)
    person: str = Field(description="Random pseudonym of the person, known to this agency alone.")
    steps: tuple[Step, ...] = Field(description="The steps in which this agency takes part.")
    link: str


class SharedReviewRequested(Event, aggregate="agency"):
    """This agency is waited on: it answers through the link."""

    step: Step
    reasons: tuple[Code, ...]
    link: str


class SharedDossierDecided(Event, aggregate="agency"):
    """The shared dossier was decided."""

    outcome: Literal["granted", "refused"]
    automatic: bool


class SharedDossierClosed(Event, aggregate="agency"):
    """The shared dossier ended; nothing more will be asked of the agency."""

    ending: Ending
