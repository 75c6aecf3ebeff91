"""Makes a config fit to be written down."""

from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from async_optuna.passwords import without_passwords


def hide_passwords(config: DictConfig) -> None:
    """Cut the passwords out of the search's own settings, which Hydra writes into the folder of every trial."""
    sweeper = OmegaConf.to_container(config.hydra.sweeper, resolve=False)
    assert isinstance(sweeper, dict)
    with read_write(config.hydra), open_dict(config.hydra):
        for key in ("storage", "warm_start"):
            hidden = without_passwords(sweeper.get(key))
            if hidden != sweeper.get(key):
                config.hydra.sweeper[key] = hidden
        given = [str(line) for line in config.hydra.overrides.hydra]
        if without_passwords(given) != given:
            config.hydra.overrides.hydra = without_passwords(given)
