"""Benchmarks: the product beside the least program that does the same on the same MongoDB and Kafka. Not run by tests.

Each round measures ours and the limit one after the other; only their ratio means something on a shared machine.
"""
