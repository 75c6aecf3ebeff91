"""Hydra sweeper that runs Optuna trials in asynchronous slots."""
