"""Tables and figures of an Optuna study."""
