"""Writes `dashboards/*.json` from the descriptions, or tells which differ; `./dev contracts` calls it."""

import json
from pathlib import Path
from typing import Final

from deploy.grafana.citizens import CITIZENS
from deploy.grafana.model import Board, document
from deploy.grafana.pipeline import PIPELINE
from deploy.grafana.services import SERVICES

FOLDER: Final = Path(__file__).parent / "dashboards"
BOARDS: Final[tuple[Board, ...]] = (CITIZENS, PIPELINE, *SERVICES)


def files() -> dict[Path, str]:
    """Return the content of every dashboard by its file."""
    return {
        FOLDER / f"{board.uid.removeprefix('dossierbus-')}.json": json.dumps(document(board), indent=2) + "\n"
        for board in BOARDS
    }


def differing() -> list[Path]:
    """Return the files that are missing, different, or of no board."""
    wanted = files()
    present = {path: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    return sorted(path for path in wanted.keys() | present.keys() if wanted.get(path) != present.get(path))


def write() -> None:
    """Write what differs; remove the files of no board."""
    wanted = files()
    for path in differing():
        if path in wanted:
            path.write_text(wanted[path], encoding="utf-8")
        else:
            path.unlink()
