"""Payments: collects a fee by card, TWINT or QR-bill, exactly once, and gives back what is not owed."""
