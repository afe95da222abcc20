"""The parts of the operators' command. They know no service; `services/cli.py` alone does."""
