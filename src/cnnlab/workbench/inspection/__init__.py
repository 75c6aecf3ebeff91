"""The layers, activations and kernels of a network, and their pictures."""
