"""One Lightning callback per file; each reads what its hooks are given and logs under its own prefix."""
