"""Device and precision, a faster training loop, and where the time of a step goes."""
