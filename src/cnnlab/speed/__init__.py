"""Device and precision, a leaner training loop, and where the time of a step goes."""
