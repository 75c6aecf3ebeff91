"""Pieces that networks are made of. Everything here takes the number of spatial dims as an argument."""
