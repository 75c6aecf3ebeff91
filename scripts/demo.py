"""Draw digits in the browser, see what a network makes of them: python scripts/demo.py run=latest

The page shows the answer, the probability of each class, the picture that the network saw and its way through the
network while you draw. It is served to this machine alone, at http://127.0.0.1:5006 (port= names another), needs
nothing from the internet, and ends with Ctrl-C. On another machine: ssh -L 5006:127.0.0.1:5006 <machine>.
"""

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from cnnlab.cli.command import command
from cnnlab.errors import UserError

if TYPE_CHECKING:
    from cnnlab.workbench.demo.answers import Network

_DIGITS = "digits"


@command(config_name="demo")
def main(config: DictConfig) -> None:
    """Serve the page until Ctrl-C."""
    from cnnlab.runs import run_folder
    from cnnlab.runs.commands import short_path
    from cnnlab.runs.json_files import read_json
    from cnnlab.workbench.demo.server import DemoServer

    if type(config.port) is not int:
        raise UserError(f"port: expected int, got {config.port!r}")
    if not 1 <= config.port < 2**16:
        raise UserError(f"port must be from 1 to {2**16 - 1}, got {config.port}")
    folder = run_folder.find(config.run)
    # Known before PyTorch is loaded. Runs of earlier versions do not say it here, and are refused by `load`.
    environment = read_json(folder / "environment.json")
    if environment.get("preprocessing", _DIGITS) != _DIGITS:
        raise _other_data(folder, environment["dataset"])
    with DemoServer(config.port) as server:
        server.start()
        # The page is there before PyTorch, which takes seconds to load. It says so, and answers afterwards.
        print(f"draw digits for {short_path(folder)} at {server.url} (Ctrl-C ends)", flush=True)
        server.answer_with(load(folder))
        threading.Event().wait()


def load(folder: Path) -> "Network":
    """The network of a run on digits."""
    from cnnlab.saved_run import load_model
    from cnnlab.workbench.demo.answers import Network
    from cnnlab.workbench.prediction.predictor import Predictor

    saved = load_model(folder)
    if saved.data["preprocessing"] != _DIGITS or not saved.learns_classes:
        raise _other_data(folder, saved.data["dataset"])
    title = f"{type(saved.model).__name__}, trained on {saved.data['dataset']}"
    return Network(Predictor(saved, accelerator="cpu"), title)  # a few digits are no work for more


def _other_data(folder: Path, dataset: str) -> UserError:
    from cnnlab.runs.commands import short_path

    return UserError(
        f"{short_path(folder)} was trained on {dataset}; the demo takes digits, as data=mnist holds: "
        "run= names another run, and predict.py answers for this one"
    )


if __name__ == "__main__":
    main()
