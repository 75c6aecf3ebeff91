"""Draw a digit in the browser, see what a network makes of it: python scripts/demo.py run=latest

The page shows the answer, the probability of each class and the picture that the network saw. It is served to this
machine alone, at http://127.0.0.1:5006 (port= names another), needs nothing from the internet, and ends with Ctrl-C.
"""

import importlib.util

from omegaconf import DictConfig

from cnnlab.cli.command import command
from cnnlab.errors import UserError


@command(config_name="demo")
def main(config: DictConfig) -> None:
    """Serve the page until Ctrl-C."""
    from cnnlab.instantiation import check_value
    from cnnlab.runs.commands import short_path
    from cnnlab.saved_run import load_model

    check_value("run", config.run, str)
    check_value("port", config.port, int)
    if not 1 <= config.port < 2**16:
        raise UserError(f"port must be from 1 to {2**16 - 1}, got {config.port}")
    if importlib.util.find_spec("bokeh") is None:
        raise UserError('the demo needs bokeh: pip install -e ".[demo]"')
    saved = load_model(config.run)
    folder = short_path(saved.folder)
    if saved.data["preprocessing"] != "digits" or not saved.learns_classes:
        raise UserError(f"{folder} was trained on {saved.data['dataset']}; the demo takes digits, as data=mnist holds")

    from cnnlab.workbench.demo import server
    from cnnlab.workbench.prediction.predictor import Predictor

    predictor = Predictor(saved, accelerator="cpu")  # a single digit is no work for more
    title = f"{type(saved.model).__name__}, trained on {saved.data['dataset']}"
    serving = server.start(predictor, title, config.port)
    print(f"draw digits for {folder} at http://{server.HOST}:{serving.port} (Ctrl-C ends)", flush=True)
    server.answer_until_stopped(serving)


if __name__ == "__main__":
    main()
