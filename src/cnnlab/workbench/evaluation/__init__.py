"""The right and wrong answers of a trained network: numbers, tables and figures, from a run folder alone."""
