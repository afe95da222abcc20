"""`./dev chaos`: the whole system under load while its processes and connections are disturbed, then counted."""
