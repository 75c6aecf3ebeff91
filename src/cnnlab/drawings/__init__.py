"""Pictures of networks, samples, answers and comparisons. PNG files as bytes."""
