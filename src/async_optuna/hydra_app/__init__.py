"""Connects the search engine to Hydra: overrides become a search space, and a trial becomes one Hydra job."""
