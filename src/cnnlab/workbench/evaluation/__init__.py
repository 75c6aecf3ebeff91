"""What a trained network gets right and wrong: numbers, tables and figures, from a run folder alone."""
