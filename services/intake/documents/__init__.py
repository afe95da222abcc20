"""Issued documents: facts in, PDF bytes out.

Owns the look and the wording of what a municipality hands out. Never reads a clock, a file of a person, or the network:
the same facts always give the same bytes. The entrance is `services.intake.documents.render.render`.
"""
