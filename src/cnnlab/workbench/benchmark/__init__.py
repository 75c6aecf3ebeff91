"""This project's training against hand-written loops: ratios of one run, the variants taking turns."""
