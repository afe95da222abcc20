"""What each test card does, with Stripe's own numbers (docs.stripe.com/testing). No real card is ever accepted."""

from dataclasses import dataclass

from stdnum import luhn


@dataclass(frozen=True)
class Decline:
    """Why a payment failed, in Stripe's codes."""

    code: str
    decline_code: str
    message: str


GENERIC = Decline("card_declined", "generic_decline", "Your card was declined.")
_PAYING = {"4242424242424242", "5555555555554444", "4000007560000009", "378282246310005"}
_DECLINED = {
    "4000000000000002": GENERIC,
    "4000000000009995": Decline("card_declined", "insufficient_funds", "Your card has insufficient funds."),
    "4000000000009987": Decline("card_declined", "lost_card", "Your card was declined."),
    "4000000000000069": Decline("expired_card", "expired_card", "Your card has expired."),
    "4000000000000127": Decline("incorrect_cvc", "incorrect_cvc", "Your card's security code is incorrect."),
    "4000000000000119": Decline("processing_error", "processing_error", "An error occurred while processing the card."),
}
_REAL = Decline("card_declined", "test_mode_live_card", "Your card was declined: this is a test page.")


def digits(number: str) -> str:
    """The card number without spaces, hyphens and dots."""
    return "".join(sign for sign in number if sign not in " -.\u00a0")


def well_formed(number: str) -> bool:
    """12 to 19 digits with a right Luhn check digit."""
    plain = digits(number)
    return plain.isascii() and plain.isdecimal() and 12 <= len(plain) <= 19 and bool(luhn.is_valid(plain))


def charge_card(number: str) -> Decline | None:
    """None if the card pays. Numbers that are no test card are declined."""
    plain = digits(number)
    return None if plain in _PAYING else _DECLINED.get(plain, _REAL)
