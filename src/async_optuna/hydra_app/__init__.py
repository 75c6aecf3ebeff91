"""The search engine behind Hydra: overrides become a search space, and a trial becomes one Hydra job."""
