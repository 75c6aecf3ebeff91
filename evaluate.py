"""Test a trained run and show what it gets right and wrong: python evaluate.py run=latest

run= a run folder or latest; split= test, val or train; plots=all adds filters, one sample's way through the network
(index= chooses it) and robustness; format=svg or pdf adds figures for papers. Everything is written to
<run>/evaluation/<split>, and together on one page to <run>/report.html.
"""

from typing import TYPE_CHECKING

from cnnlab.cli.command import command
from cnnlab.cli.heavy_imports import heavy_imports

if TYPE_CHECKING:
    from omegaconf import DictConfig


@command(config_name="evaluate")
def main(config: "DictConfig") -> None:
    """Evaluate and say what came out."""
    with heavy_imports():
        from cnnlab.workbench.evaluation.evaluate import evaluate

    print(evaluate(**config).text)


if __name__ == "__main__":
    main()
