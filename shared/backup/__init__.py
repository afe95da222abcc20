"""Backup and restore: all databases at one moment, the vault apart from them, and erasures that outlive both.

`archive` is the files, `erasures` the log beside them, `backup` and `restore` move documents, `cli` is for operators.
"""
