"""A Hydra app that returns a number, for hydra/sweeper=optuna and hydra/sweeper=async_optuna."""

import hydra
from omegaconf import DictConfig
from trial import train


@hydra.main(version_base="1.3", config_path=".", config_name="search_hydra")
def objective(config: DictConfig) -> float:
    return train(config.batch_size, config.hidden_units, config.lr)


if __name__ == "__main__":
    objective()
