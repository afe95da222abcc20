"""Fakes and helpers that ship with the library; used by tests and simulations, never by a running service."""
