"""The journal store in memory passes the behaviour suite of the real one."""

import pytest

from shared.testing.store import MemoryJournalStore
from tests.unit.journal_store_behaviour import JournalStoreBehaviour


class TestMemoryJournalStore(JournalStoreBehaviour):
    """All truths of `JournalStoreBehaviour`, in memory."""

    @pytest.fixture
    def store(self) -> MemoryJournalStore:
        """An empty store."""
        return MemoryJournalStore()
