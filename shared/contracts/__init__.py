"""What the services know of each other: events, topics and the public status model. Data only, no behaviour, no I/O."""
