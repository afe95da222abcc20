"""The alerts and their runbooks as data, for the tests that compare and follow them."""

import re
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parents[2]
RULES: Final = ROOT / "deploy" / "prometheus" / "rules" / "dossierbus.yml"
RUNBOOKS: Final = ROOT / "docs" / "operations.md"


def rules() -> dict[str, dict[str, Any]]:
    """Return the delivered alerts by name."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def sections() -> dict[str, str]:
    """Return the sections of the operators' page by heading."""
    parts = re.split(r"^## (.+)$", RUNBOOKS.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def queries(section: str) -> list[str]:
    """Return the PromQL of a section: its lines indented by six."""
    return re.findall(r"^ {6}(\S.*)$", section, re.MULTILINE)
