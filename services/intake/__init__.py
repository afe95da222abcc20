"""Intake: the portal's only API, the catalogue, and each dossier's process. It alone decides the next step."""
