"""One run on many devices: its further processes, what they have in common, and what happens when one is lost."""
