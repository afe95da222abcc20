"""The development stand-ins for what a municipality does not run itself: card processor, register, login, mail, traces.

Each is a process of its own, spoken to over the wire exactly as the real one, and misbehaves on demand.
Nothing in the product imports this package, and it refuses to start in production.
"""
