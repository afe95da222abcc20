"""The journeys: each plays a dossier to one ending and says which effects it must have had, exactly."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from deploy.local.journeys.town import Citizen

CARD: Final = {"card": "4242424242424242"}
TWINT: Final = {"twint": True}
RESIDENCE: Final = "residence-certificate"
DEBTS: Final = "debt-register-extract"
SLIPS: Final = "payment-slips"
HASTY: Final = "hasty-residence-certificate"
_BANK: Final = {"purpose": "bank", "content": "with_move_in_date"}
_LEASE: Final = {"purpose": "lease", "years": 3}


@dataclass(frozen=True)
class Effects:
    """What a journey leaves behind: the ending, and how often each effect happened."""

    ending: str
    captured: int = 0
    booked: int = 0
    refunded: int = 0
    decisions: int = 1
    documents: int = 1


@dataclass(frozen=True)
class Journey:
    """One way through a service. `play` returns once the dossier has ended."""

    name: str
    play: Callable[[Citizen], Awaitable[None]]
    effects: Effects
    debts: bool | None = None


async def _residence(citizen: Citizen, method: str, **more: Any) -> None:
    await citizen.submit(RESIDENCE, _BANK, consents=["residence"], payment_method=method, **more)


async def _confirm(citizen: Citizen, step: str = "residence") -> None:
    await citizen.until("evidence_ready")
    await citizen.get(f"/evidence/{step}")
    await citizen.act(f"/evidence/{step}", {"accepted": True})


async def _pay(citizen: Citizen, means: Mapping[str, Any] = CARD) -> None:
    await citizen.town.psp_session(await citizen.payable(), "pay", means)


async def card(citizen: Citizen) -> None:
    """A residence certificate, paid by card."""
    await _residence(citizen, "card")
    await _pay(citizen)
    await _confirm(citizen)
    await citizen.until("completed")


async def twint(citizen: Citizen) -> None:
    """A residence certificate in French, paid by TWINT."""
    await _residence(citizen, "twint", language="fr")
    await _confirm(citizen)
    await _pay(citizen, TWINT)
    await citizen.until("completed")


async def invoice(citizen: Citizen) -> None:
    """A residence certificate in Italian, paid by QR-bill."""
    await _residence(citizen, "invoice", language="it")
    await citizen.payable()
    await citizen.town.upload_bank_file([(await citizen.reference(), citizen.seen["payment"]["amount"])])
    await _confirm(citizen)
    await citizen.until("completed")


async def consent_later(citizen: Citizen) -> None:
    """The consent is given only when asked for."""
    await citizen.submit(RESIDENCE, _BANK, payment_method="card", language="en")
    await citizen.until("consent_needed")
    await citizen.act("/consents/residence", {"granted": True})
    await _confirm(citizen)
    await _pay(citizen)
    await citizen.until("completed")


async def slips(citizen: Citizen) -> None:
    """Payment slips: nobody has to do anything."""
    await citizen.submit(SLIPS, {"account": "fee", "count": 3, "amount_rappen": 12_500})
    await citizen.until("completed")


async def no_debts(citizen: Citizen) -> None:
    """A clean debt-register extract, granted by rule."""
    await citizen.submit(DEBTS, _LEASE, consents=["debts"], payment_method="card")
    await _confirm(citizen, "debts")
    await _pay(citizen)
    await citizen.until("completed")


async def _with_entries(citizen: Citizen, outcome: str) -> None:
    await citizen.submit(DEBTS, _LEASE, consents=["debts"], payment_method="twint")
    await _confirm(citizen, "debts")
    await _pay(citizen, TWINT)
    await citizen.reviewed(outcome, agency="debt-office")


async def debts_approved(citizen: Citizen) -> None:
    """An extract with entries: the debt office looks at it and approves."""
    await _with_entries(citizen, "accepted")
    await citizen.until("completed")


async def debts_refused(citizen: Citizen) -> None:
    """An extract with entries: the debt office refuses; the fee goes back."""
    await _with_entries(citizen, "refused")
    await citizen.until("refused")


async def mismatch(citizen: Citizen) -> None:
    """The register contradicts the applicant; a case worker refuses."""
    await _residence(citizen, "card", official_name="Niemand")
    await citizen.reviewed("refused")
    await citizen.until("refused")


async def consent_refused(citizen: Citizen) -> None:
    """The applicant does not want the evidence to be fetched; a case worker refuses."""
    await citizen.submit(RESIDENCE, _BANK, payment_method="card")
    await citizen.until("consent_needed")
    await citizen.act("/consents/residence", {"granted": False})
    await _pay(citizen)
    await citizen.reviewed("refused")
    await citizen.until("refused")


async def declined(citizen: Citizen) -> None:
    """The card is declined; the second attempt, by TWINT, is paid."""
    await _residence(citizen, "card")
    await _confirm(citizen)
    first = await citizen.payable()
    await citizen.town.psp_session(first, "decline")
    await citizen.until("payment_declined")
    await citizen.act("/payments", {"method": "twint"})
    await citizen.town.psp_session(await citizen.payable(other_than=first), "pay", TWINT)
    await citizen.until("completed")


async def abandoned(citizen: Citizen) -> None:
    """The payment page is left; the second attempt is paid."""
    await _residence(citizen, "card")
    await _confirm(citizen)
    first = await citizen.payable()
    await citizen.town.psp_session(first, "abandon")
    await citizen.until("payment_abandoned")
    await citizen.act("/payments", {"method": "card"})
    await citizen.town.psp_session(await citizen.payable(other_than=first), "pay", CARD)
    await citizen.until("completed")


async def withdrawn(citizen: Citizen) -> None:
    """The applicant withdraws before paying."""
    await _residence(citizen, "card")
    await citizen.payable()
    await citizen.act("/withdrawal")
    await citizen.until("withdrawn")


async def withdrawn_paid(citizen: Citizen) -> None:
    """The applicant withdraws after paying; the fee goes back."""
    await _residence(citizen, "card")
    await _pay(citizen)
    await _step_done(citizen, "fee")
    await citizen.act("/withdrawal")
    await citizen.until("withdrawn")


async def _step_done(citizen: Citizen, step: str) -> None:
    while not any(one["id"] == step and one["state"] == "done" for one in (await citizen.look())["steps"]):
        await citizen.until(*_ON_THE_WAY)


_ON_THE_WAY: Final = ("received", "delayed", "in_progress", "evidence_ready", "payment_due")


async def deadline_missed(citizen: Citizen) -> None:
    """The applicant never acts; the dossier expires by itself."""
    await citizen.submit(HASTY, _BANK, consents=["residence"], payment_method="card")
    await citizen.until("expired")


JOURNEYS: Final = (
    Journey("residence-by-card", card, Effects("completed", captured=1)),
    Journey("residence-by-twint", twint, Effects("completed", captured=1)),
    Journey("residence-by-bill", invoice, Effects("completed", booked=1)),
    Journey("consent-later", consent_later, Effects("completed", captured=1)),
    Journey("payment-slips", slips, Effects("completed")),
    Journey("debts-none", no_debts, Effects("completed", captured=1), debts=False),
    Journey("debts-approved", debts_approved, Effects("completed", captured=1), debts=True),
    Journey("debts-refused", debts_refused, Effects("refused", captured=1, refunded=1, documents=0), debts=True),
    Journey("identity-mismatch", mismatch, Effects("refused", documents=0)),
    Journey("consent-refused", consent_refused, Effects("refused", captured=1, refunded=1, documents=0)),
    Journey("card-declined", declined, Effects("completed", captured=1)),
    Journey("checkout-abandoned", abandoned, Effects("completed", captured=1)),
    Journey("withdrawn", withdrawn, Effects("withdrawn", decisions=0, documents=0)),
    Journey(
        "withdrawn-after-paying",
        withdrawn_paid,
        Effects("withdrawn", captured=1, refunded=1, decisions=0, documents=0),
    ),
    Journey("deadline-missed", deadline_missed, Effects("expired", decisions=0, documents=0)),
)
