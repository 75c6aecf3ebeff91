"""A page on which one draws a digit and sees what a network makes of it."""
