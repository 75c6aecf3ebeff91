"""PyTorch Lightning + Hydra template: train, search and read convolutional networks.

This module stays free of heavy imports, so that `python train.py --help` answers at once.
"""
