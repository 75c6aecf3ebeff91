"""Replacements for those of Lightning's loggers whose output would mislead."""
