"""Messages to applicants about the status of their dossiers. Owns every message; never decides what a status is."""
