"""Finished runs side by side: the table, its text and its figures."""
