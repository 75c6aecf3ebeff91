"""Lightning loggers where the library's own write what would mislead."""
