"""What analytics reads and keeps in the broker: its group, its sources, the changelog of its records. Data only."""

from typing import Final

from shared.contracts.topics import EVENT_TOPICS, Topic

GROUP: Final = "analytics"
TABLE: Final = "dossiers"
SOURCES: Final = tuple(topic.name for topic in EVENT_TOPICS)
CHANGELOG: Final = Topic(f"{GROUP}-{TABLE}-changelog", "analytics", ("analytics",), (), compacted=True)
"""Named as Faust names it; created before Faust starts, because it must have as many partitions as the sources."""
