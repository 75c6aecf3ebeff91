"""Data sets as LightningDataModules, and the batched tensor loader beneath them. Knows nothing of models or metrics."""
