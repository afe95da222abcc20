"""`python -m shared.contracts.generate [--check]`: writes what is derived from the event classes, or compares it.

Owns `docs/contracts/` (a JSON Schema per event, the AsyncAPI description) and the generated places of `docs/events.md`.
Compatibility of a changed schema is judged elsewhere, see `compatibility`.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from shared.contracts import topics  # noqa: F401  (registers the events)
from shared.contracts.asyncapi import description
from shared.contracts.event import events
from shared.contracts.schemas import schema_of
from shared.contracts.tables import filled

ROOT: Final = Path(__file__).resolve().parents[2]
SCHEMAS: Final = "docs/contracts/schemas"
ASYNCAPI: Final = "docs/contracts/asyncapi.json"
PAGE: Final = "docs/events.md"


def derived(root: Path) -> dict[str, str]:
    """Return every generated file's text by its path below `root`, where the page to be filled lies."""
    schemas = {f"{SCHEMAS}/{event.type}.json": _text(schema_of(event)) for event in events().values()}
    page = (root / PAGE).read_text(encoding="utf-8")
    return {**schemas, ASYNCAPI: _text(description()), PAGE: filled(page)}


def differences(root: Path, wanted: Mapping[str, str]) -> list[str]:
    """Return one sentence per file that is missing, out of date, or left over."""
    found = []
    for path, text in wanted.items():
        file = root / path
        if not file.exists():
            found.append(f"{path} is missing")
        elif file.read_text(encoding="utf-8") != text:
            found.append(f"{path} is not what the code says")
    left_over = sorted(set((root / SCHEMAS).glob("*.json")) - {root / path for path in wanted})
    return found + [f"{file.relative_to(root)} belongs to no event" for file in left_over]


def write(root: Path, wanted: Mapping[str, str]) -> None:
    """Write every generated file; delete nothing: an event that is gone is a decision for people."""
    for path, text in wanted.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Return the exit code: 1 when `--check` finds a difference."""
    parser = argparse.ArgumentParser(prog="python -m shared.contracts.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 and name what differs")
    check: bool = parser.parse_args(arguments).check
    wanted = derived(root)
    if not check:
        write(root, wanted)
    found = differences(root, wanted)
    sys.stderr.write("".join(f"{line}\n" for line in found))
    if found:
        sys.stderr.write("Run `./dev contracts` and commit what it wrote.\n")
    return 1 if found else 0


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
