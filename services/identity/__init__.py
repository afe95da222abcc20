"""Identity checks and evidence from registers. Owns both journals; never decides what a dossier does next."""
