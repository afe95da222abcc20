"""What the KPI worker does with the partitions it is given, without a broker."""

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest
from faust.types import TP

from services.analytics.handlers import Running
from services.analytics.stream import CountingApp, make_app
from services.analytics.topics import CHANGELOG, SOURCES
from shared.settings import CommonSettings
from shared.testing.environment import FakeEnvironment

KEY = base64.b64encode(b"k" * 32).decode()


class _Consumer:
    """Knows its assignment."""

    def __init__(self, assigned: set[TP]) -> None:
        self._assigned = assigned

    def assignment(self) -> set[TP]:
        return self._assigned


def _app(folder: Path, assigned: set[TP]) -> CountingApp:
    settings = CommonSettings.model_validate(
        {"mongodb_uri": "mongodb://x/y", "journal_key": KEY, "hash_key": KEY, "oidc_issuer": "https://login.example"}
    )
    app = make_app(settings, Running(6, "worker", FakeEnvironment()), 10, str(folder), "cluster")
    stand_in: Any = _Consumer(assigned)
    app.consumer = stand_in
    return app


@pytest.mark.parametrize("known", [True, False])
async def test_without_its_changelog_a_worker_ends(known: bool, tmp_path: Path) -> None:
    """A node that does not know the changelog yet leaves it out: counting from nothing would be wrong for good."""
    sources = {TP(topic, 0) for topic in SOURCES}
    app = _app(tmp_path, sources | ({TP(CHANGELOG.name, 0)} if known else set()))
    refused = app.table.refused = asyncio.get_running_loop().create_future()
    await app.table.call_recover_callbacks()
    assert app.running.rebuilt is known
    assert refused.done() is not known
    if not known:
        with pytest.raises(RuntimeError, match="changelog is not assigned"):
            refused.result()
