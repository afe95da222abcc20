"""Recounts in memory pass the behaviour suite of the real ones."""

import pytest

from shared.testing.recounts import MemoryRecounts
from tests.unit.recounts_behaviour import RecountsBehaviour


class TestMemoryRecounts(RecountsBehaviour):
    """All truths of `RecountsBehaviour`, in memory."""

    @pytest.fixture
    def recounts(self) -> MemoryRecounts:
        """No recount."""
        return MemoryRecounts()
