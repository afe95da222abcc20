"""How a long command ends before its time: by Ctrl-C or SIGTERM alike, and in order. Owns these two signals."""

import signal
from types import FrameType


def heed_interrupts() -> None:
    """Let SIGINT and SIGTERM raise KeyboardInterrupt; under `asyncio.run` they end its tasks first."""
    # SIGINT explicitly: a shell script starts background commands with it ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _interrupt)


def ignore_interrupts() -> None:
    """End undisturbed: a second Ctrl-C must not leave half of the processes behind."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    signal.raise_signal(signal.SIGINT)
