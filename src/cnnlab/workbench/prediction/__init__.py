"""Predictions of a trained network for pictures in files."""
