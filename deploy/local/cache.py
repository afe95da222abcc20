"""Where downloads shared by all checkouts of a user are kept. Owns the path; downloads nothing."""

import os
from pathlib import Path


def cache_directory() -> Path:
    """`$XDG_CACHE_HOME/dossierbus`, else `~/.cache/dossierbus` (XDG Base Directory Specification); not yet created."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "dossierbus"
