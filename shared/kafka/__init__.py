"""Kafka's side of the product: topics, publishing in order, reading in groups. Knows no event's content."""
