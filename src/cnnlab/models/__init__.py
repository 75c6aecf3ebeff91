"""One architecture per file. Each maps x (N, *input_shape) to logits (N, num_classes) for input_shape (C, *spatial)."""
