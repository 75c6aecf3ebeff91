"""The run folder: claimed, locked, written to and resumed."""
