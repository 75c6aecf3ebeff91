"""Train a network: python train.py model=tinyvgg data=mnist trainer=auto (python train.py --help lists the choices)."""

from typing import TYPE_CHECKING, Any

from cnnlab.cli.command import command, run_dir
from cnnlab.cli.heavy_imports import heavy_imports

if TYPE_CHECKING:
    from omegaconf import DictConfig


@command(config_name="train")
def main(config: "DictConfig") -> Any:
    """Run one training job and return its monitored number, which a search optimises."""
    with heavy_imports():  # here, because torch takes seconds and --help does not need it
        from cnnlab.training import train

    return train(config, run_dir())


if __name__ == "__main__":
    main()
