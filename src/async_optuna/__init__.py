"""Searches: ask Optuna for a point, run it as a trial in a process of its own, tell Optuna, prune, resume."""
