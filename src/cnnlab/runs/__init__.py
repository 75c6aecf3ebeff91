"""The run folder: how it is created, locked, written and resumed."""
