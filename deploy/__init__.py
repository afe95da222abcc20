"""How Dossierbus is run: the local stack and, beside it, the manifests for containers and clusters."""
