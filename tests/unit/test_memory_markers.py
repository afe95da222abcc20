"""The markers in memory pass the behaviour suite of the real ones."""

import pytest

from shared.testing.store import MemoryMarkers
from tests.unit.markers_behaviour import MarkersBehaviour


class TestMemoryMarkers(MarkersBehaviour):
    """All truths of `MarkersBehaviour`, in memory."""

    @pytest.fixture
    def markers(self) -> MemoryMarkers:
        """No markers."""
        return MemoryMarkers()
