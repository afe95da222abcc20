"""What a person sees while the stack starts: one line per step with its seconds. Owns the layout; decides nothing."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


class Progress:
    """Prints finished steps to `stream`, from any thread. With `quiet` only warnings are printed."""

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self._stream = stream or sys.stdout
        self._quiet = quiet
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """Print one line."""
        if not self._quiet:
            self._print(text)

    def warn(self, text: str) -> None:
        """Print one line also when quiet."""
        self._print(text)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time what happens inside and print its line when it has succeeded."""
        started = time.monotonic()
        yield
        self.say(f"  {name:<44} {time.monotonic() - started:6.1f} s")

    def _print(self, text: str) -> None:
        with self._lock:
            print(text, file=self._stream, flush=True)


def silent() -> Progress:
    """A progress that prints warnings only, to standard error: for tests."""
    return Progress(sys.stderr, quiet=True)
