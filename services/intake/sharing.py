"""What other authorities learn of a dossier: recipients and projection, stored with the event. Pure.

An agency takes part if the municipal service gives it a step. No projection carries a personal field: agencies read
what they were granted through the API, which checks and logs at that moment.
"""

from collections.abc import Callable, Sequence

from services.intake.catalogue.model import MunicipalService
from services.intake.state import Dossier
from shared.contracts import agency as shared
from shared.contracts import dossier as event
from shared.contracts.event import Event
from shared.journal import Recorded, Share


def share(service: MunicipalService, dossier: Dossier, recorded: Recorded, public_url: str) -> Sequence[Share]:
    """Return what each agency of the dossier gets to know of an event."""
    link = f"{public_url}/v1/dossiers/{dossier.id}"
    project = _PROJECTIONS.get(type(recorded.event))
    if project is None:
        return ()
    return [
        Share(agency, projected)
        for agency in dossier.agencies
        if (projected := project(service, dossier, recorded.event, agency, link)) is not None
    ]


Projected = (
    shared.DossierShared | shared.SharedReviewRequested | shared.SharedDossierDecided | shared.SharedDossierClosed
)
Project = Callable[[MunicipalService, Dossier, Event, str, str], Projected | None]


def _submitted(service: MunicipalService, dossier: Dossier, fact: Event, agency: str, link: str) -> Projected:
    return shared.DossierShared(
        service=dossier.service,
        service_version=dossier.service_version,
        person=dossier.agencies[agency],
        steps=service.agencies().get(agency, ()),
        link=link,
    )


def _review(service: MunicipalService, dossier: Dossier, fact: Event, agency: str, link: str) -> Projected | None:
    if not isinstance(fact, event.ReviewRequested) or fact.authority != agency:
        return None
    return shared.SharedReviewRequested(step=fact.step, reasons=fact.reasons, link=link)


def _decided(service: MunicipalService, dossier: Dossier, fact: Event, agency: str, link: str) -> Projected | None:
    if not isinstance(fact, event.DossierDecided):
        return None
    return shared.SharedDossierDecided(outcome=fact.outcome, automatic=fact.automatic)


def _closed(service: MunicipalService, dossier: Dossier, fact: Event, agency: str, link: str) -> Projected | None:
    return shared.SharedDossierClosed(ending=fact.ending) if isinstance(fact, event.DossierClosed) else None


_PROJECTIONS: dict[type[Event], Project] = {
    event.DossierSubmitted: _submitted,
    event.ReviewRequested: _review,
    event.DossierDecided: _decided,
    event.DossierClosed: _closed,
}
