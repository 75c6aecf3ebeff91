"""Classify your own pictures with a trained network: python predict.py run=latest images=photos

images= a file, a folder, a glob or a zip archive; explain=true draws the way of each through the network. Answers are
printed and written to outputs/predictions (out= names another folder) with a contact sheet.
"""

from typing import TYPE_CHECKING

from cnnlab.cli.command import command
from cnnlab.cli.heavy_imports import heavy_imports

if TYPE_CHECKING:
    from omegaconf import DictConfig


@command(config_name="predict")
def main(config: "DictConfig") -> None:
    """Predict and say what came out."""
    with heavy_imports():
        from cnnlab.workbench.prediction.predict import predict

    print(predict(**config).text)


if __name__ == "__main__":
    main()
