"""trainer=fast: a leaner loop over the batches, and CUDA graphs."""
