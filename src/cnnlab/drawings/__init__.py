"""Pictures that explain: a network's shapes, and what a convolution computes. PNG files as bytes."""
