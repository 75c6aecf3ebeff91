"""A search engine: it asks Optuna for a point, runs it in a process of its own, reports back, prunes and resumes."""
