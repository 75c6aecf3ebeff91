"""Batches from memory or from worker processes, normalised."""
