"""The command line: Hydra around a task, mistakes told in one line, signals that end a run in order."""
