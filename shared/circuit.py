"""Circuits before providers: when to hold calls back, since when, and the sentence that people read about it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from shared.calendar import ZURICH
from shared.language import Texts, texts
from shared.meters import record_circuit

CIRCUIT_FAILURES: Final = 5
CIRCUIT_SECONDS: Final = 5.0

CircuitState = Literal["closed", "open", "trying"]

_NAMES: Final[Mapping[str, Texts]] = {
    "psp": texts(
        "Der Zahlungsanbieter", "Le prestataire de paiement", "Il fornitore di pagamenti", "The payment provider"
    ),
    "register": texts("Das Register", "Le registre", "Il registro", "The register"),
    "smtp": texts("Der Mailserver", "Le serveur de messagerie", "Il server di posta", "The mail server"),
}


@dataclass(eq=False)
class Circuit:
    """Holds back calls to a provider that failed several times in a row, letting one through now and then."""

    provider: str
    failures: int = 0
    open_until: datetime | None = None
    since: datetime | None = None
    trying: bool = False

    @property
    def state(self) -> CircuitState:
        """Closed, open, or trying: one call is under way to see whether the provider is back (half-open)."""
        if self.failures < CIRCUIT_FAILURES:
            return "closed"
        return "trying" if self.trying else "open"

    def allows(self, now: datetime) -> bool:
        """Return whether a call may be tried now."""
        return self.open_until is None or now >= self.open_until

    def called(self) -> None:
        """Note that a call begins; with an open circuit it is the one that tries."""
        self.trying = self.state != "closed"

    def succeeded(self) -> None:
        """Close the circuit."""
        self.failures, self.open_until, self.since, self.trying = 0, None, None, False
        record_circuit(self.provider, is_open=False)

    def failed(self, now: datetime) -> None:
        """Count a failure; the fifth in a row opens the circuit for a while. It began with the first of them."""
        self.failures += 1
        self.since, self.trying = self.since or now, False
        if self.failures >= CIRCUIT_FAILURES:
            self.open_until = now + timedelta(seconds=CIRCUIT_SECONDS)
            record_circuit(self.provider, is_open=True)


def unreachable(provider: str, since: datetime, waiting: int, now: datetime) -> Texts:
    """Say who cannot be reached since when, in Zurich's time, and how many dossiers wait; with the day if not today."""
    name = _NAMES.get(provider) or texts(provider, provider, provider, provider)
    local = since.astimezone(ZURICH)
    today = local.date() == now.astimezone(ZURICH).date()
    when = f"{local:%H:%M}" if today else f"{local:%d.%m.%Y %H:%M}"
    one = waiting == 1
    return texts(
        f"{name['de']} ist seit {when} nicht erreichbar; {waiting} {'Dossier wartet' if one else 'Dossiers warten'}.",
        f"{name['fr']} est inaccessible depuis {when}; {waiting} {'dossier attend' if one else 'dossiers attendent'}.",
        f"{name['it']} non è raggiungibile dalle {when}; "
        f"{waiting} {'pratica è' if one else 'pratiche sono'} in attesa.",
        f"{name['en']} has not been reachable since {when}; "
        f"{waiting} {'dossier is' if one else 'dossiers are'} waiting.",
    )
