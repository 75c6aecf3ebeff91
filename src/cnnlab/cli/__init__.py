"""The command line: runs a task through Hydra, reports errors in one line, and ends a run cleanly at a signal."""
