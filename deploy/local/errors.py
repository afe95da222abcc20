"""The one error of the local stack: a sentence for the person at the keyboard. Never carries a stack trace to them."""


class LocalError(Exception):
    """Something the person can mend; the message is one sentence that says what happened and what to do."""
