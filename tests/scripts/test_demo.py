"""`python scripts/demo.py`: what is drawn in the browser is answered, on this machine alone, until Ctrl-C."""

import base64
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fork_server
from cnnlab.errors import UserError
from cnnlab.workbench.demo.server import DemoServer
from cnnlab.workbench.demo.strokes import SIDE, WIDTH, rasterise
from conftest import PROJECT, Finished

SECONDS = 60.0
ONE = [[0.5, 0.15], [0.5, 0.5], [0.5, 0.85]]
ANGLES = np.linspace(0, 2 * np.pi, 30)
ZERO = np.stack([0.5 + 0.2 * np.sin(ANGLES), 0.5 + 0.3 * np.cos(ANGLES)], axis=1).tolist()


def beside(stroke: list[list[float]], x: float) -> list[list[float]]:
    """Half as large, around x."""
    return [[x + (at - 0.5) / 2, 0.5 + (y - 0.5) / 2] for at, y in stroke]


@pytest.fixture
def demo(command: Callable[..., Finished]) -> Callable[..., Finished]:
    """Run `python scripts/demo.py <arguments>`."""
    return partial(command, "scripts/demo.py")


@pytest.fixture
def taken_port() -> Iterator[int]:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        yield int(taken.getsockname()[1])


def ask(port: int, path: str, content: bytes | None = None, **headers: str) -> tuple[int, str]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)) as connection:
        connection.request("GET" if content is None else "POST", path, content, headers)
        response = connection.getresponse()
        return response.status, response.read().decode()


class Echo:
    """A network that answers every drawing with itself."""

    def about(self) -> dict[str, Any]:
        return {"title": "echo"}

    def answer(self, drawing: Any) -> dict[str, Any]:
        if drawing == "wrong":
            raise UserError("expected strokes")
        return {"drawing": drawing}


@pytest.fixture
def served(taken_port: int) -> Iterator[DemoServer]:
    with DemoServer(taken_port) as server:
        assert taken_port < server.server_port < taken_port + 20
        server.start()
        yield server
        server.shutdown()


def test_the_page_is_there_before_the_network_and_needs_nothing_from_elsewhere(served: DemoServer) -> None:
    status, page = ask(served.server_port, "/")
    assert status == 200
    assert "being loaded" in page
    assert '<meta name="viewport"' in page
    linked = re.findall(r"(?:src|href)\s*=\s*[\"']?([^\"'\s>]+)", page)
    assert all(target.startswith("data:") for target in linked)
    served.answer_with(Echo())
    assert json.loads(ask(served.server_port, "/network")[1]) == {"title": "echo"}
    assert json.loads(ask(served.server_port, "/answer", b"[1]")[1]) == {"drawing": [1]}


def test_pages_of_other_sites_are_refused(served: DemoServer) -> None:
    served.answer_with(Echo())
    port = served.server_port
    for name in ("localhost", f"localhost:{port}", "127.0.0.1:8080", "[::1]:5006"):  # as through ssh -L
        assert ask(port, "/", Host=name)[0] == 200
    for name in ("example.org", f"example.org:{port}", "localhost.example.org", "127.0.0.1.example.org", ""):
        assert ask(port, "/", Host=name)[0] == 403
        assert ask(port, "/answer", b"[]", Host=name)[0] == 403
    assert ask(port, "/answer", b"[]", Origin=f"http://127.0.0.1:{port}")[0] == 200
    for origin in ("http://example.org", "null", f"http://127.0.0.1:{port + 1}"):
        assert ask(port, "/answer", b"[]", Origin=origin)[0] == 403
    with pytest.raises(OSError, match="refused|timed out|unreachable"):
        socket.create_connection(("127.0.0.2", port), timeout=5)


def test_many_windows_may_ask_at_once(taken_port: int) -> None:
    with DemoServer(taken_port) as server, ExitStack() as windows:
        for _ in range(50):  # nobody takes them yet
            windows.enter_context(socket.create_connection(("127.0.0.1", server.server_port), timeout=5))


def test_bad_requests_are_refused(served: DemoServer) -> None:
    served.answer_with(Echo())
    port = served.server_port
    assert ask(port, "/secret")[0] == ask(port, "/secret", b"[]")[0] == 404
    assert ask(port, "/../server.py")[0] == 404
    for content in (b"no json", b"\xff", b'"wrong"', b"[" * 100_000):
        status, text = ask(port, "/answer", content)
        assert status == 400
        assert json.loads(text)["error"]
    for length in (str(2**40), "9" * 5_000, "-1", "many", "\u00b2".encode().decode("latin-1")):
        assert ask(port, "/answer", b"", **{"Content-Length": length})[0] == 413
    assert ask(port, "/answer", b"[1]")[0] == 200  # and goes on


def test_a_drawing_is_answered(trained: Path) -> None:
    from cnnlab.saved_run import load_model
    from cnnlab.workbench.demo.answers import Network
    from cnnlab.workbench.prediction.predictor import Predictor

    network = Network(Predictor(load_model(trained), "cpu"), "title")
    assert network.about() == {"title": "title", "classes": tuple("0123456789"), "are_digits": True}
    answer = network.answer({"strokes": [ZERO]})
    json.dumps(answer)
    (zero,) = answer["digits"]
    assert zero["label"] == "0"
    assert sum(zero["probabilities"]) == pytest.approx(1, abs=1e-4)
    assert zero["box"] == pytest.approx([0.27, 0.17, 0.73, 0.83], abs=0.03)
    seen = np.frombuffer(base64.b64decode(zero["seen"]), np.uint8).reshape(28, 28)
    assert seen.max() == 255
    assert seen[14, 14] == seen[0].max() == 0  # a ring
    stages = answer["way"]
    assert [stage["layer"] for stage in stages[:2]] == ["Conv2d 3x3", "ReLU"]
    assert (stages[0]["shape"], stages[0]["signed"], stages[1]["signed"]) == ([10, 28, 28], True, False)
    for stage in stages:
        assert {len(base64.b64decode(one)) for one in stage["maps"]} == {stage["height"] * stage["width"]}

    both = network.answer({"strokes": [beside(ZERO, 0.75), beside(ONE, 0.25)], "chosen": 1, "width": 0.03})
    assert [digit["label"] for digit in both["digits"]] == ["1", "0"]
    assert both["chosen"] == 1
    assert network.answer({"strokes": [ZERO], "chosen": 5})["chosen"] == 0
    assert network.answer({"strokes": []}) == {
        "digits": [],
        "way": [],
        "chosen": 0,
        "remark": "no digit in it: nothing stands out from the background",
    }
    for wrong in (None, [], {}, {"strokes": 1}, {"strokes": [[[0.5]]]}, {"strokes": [[[float("nan"), 0]]]}):
        with pytest.raises(UserError, match="expected"):
            network.answer(wrong)
    with pytest.raises(UserError, match="expected a width"):
        network.answer({"strokes": [ONE], "width": 3})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("run", "title"),
    [
        ("latest", "Linear, trained on mnist-5k"),
        ("pretrained:tinyvgg", "TinyVGG, trained on mnist"),  # only: zoo
    ],
)
def test_the_command_answers_until_ctrl_c(
    run: str,
    title: str,
    train: Callable[..., Finished],
    tmp_path: Path,
    environment: dict[str, str],
    taken_port: int,
) -> None:
    if run == "latest":
        assert train("model=linear", "trainer=cpu", "trainer.max_epochs=3", "logger=none", "test=false").status == 0
    arguments = ["-W", "error", str(PROJECT / "scripts/demo.py"), f"run={run}", f"port={taken_port}"]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with fork_server.Popen([sys.executable, *arguments], cwd=tmp_path, env=environment, **pipes) as process:
        try:
            line = process.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:(\d+) \(Ctrl-C ends\)$", line.strip())
            assert found is not None, line + process.stderr.read()
            port = int(found[1])
            assert json.loads(ask(port, "/network")[1])["title"].startswith(title)
            answer = json.loads(ask(port, "/answer", json.dumps({"strokes": [ONE]}).encode())[1])
            assert [digit["label"] for digit in answer["digits"]] == ["1"]
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=SECONDS)
            assert (process.returncode, out, err) == (130, "", "stopped by Ctrl-C\n")
        finally:
            process.kill()


def test_what_is_drawn_becomes_a_picture() -> None:
    (line,) = rasterise([[(0.25, 0.1), (0.25, 0.5)]])
    rows, columns = np.nonzero(line)
    assert (line.shape, line.dtype, set(np.unique(line))) == ((SIDE, SIDE), np.uint8, {0, 255})
    radius = WIDTH * SIDE / 2
    assert columns.min() == pytest.approx(0.25 * SIDE - radius, abs=2)
    assert columns.max() == pytest.approx(0.25 * SIDE + radius, abs=2)
    assert rows.min() == pytest.approx(0.1 * SIDE - radius, abs=2)
    assert rows.max() == pytest.approx(0.5 * SIDE + radius, abs=2)
    assert 0 < (rasterise([[(0.5, 0.5)]]) > 0).sum() < (rasterise([[(0.5, 0.5)], [(0.9, 0.5)]]) > 0).sum()
    assert (rasterise([[(0.5, 0.5)]], width=0.03) > 0).sum() < (rasterise([[(0.5, 0.5)]]) > 0).sum()
    assert rasterise([[(-3.0, 0.5), (4.0, 0.5)]]).any()


def test_other_data_than_digits_are_refused(
    smoke: Callable[..., Finished], demo: Callable[..., Finished], tmp_path: Path, taken_port: int
) -> None:
    inputs, labels = np.random.default_rng(0).integers(0, 256, (60, 28, 28), dtype=np.uint8), np.arange(60) % 2
    np.savez(tmp_path / "textures.npz", x_train=inputs, y_train=labels, x_test=inputs, y_test=labels)
    data = ["data=npz", "data.path=textures.npz", "data.train_size=null", "data.batch_size=8", "model=linear"]
    assert smoke(*data, "test=false").status == 0
    done = demo(f"port={taken_port}")
    assert (done.status, done.out) == (1, "")
    assert done.err.count("\n") == 1
    assert "was trained on textures; the demo takes digits, as data=mnist holds" in done.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run=nowhere"], "nowhere is not a run folder"),
        ([], "latest: there are no runs in"),
        (["port=0"], "port must be from 1 to 65535, got 0"),
        (["port=65536"], "port must be from 1 to 65535, got 65536"),
        (["port=http"], "port: expected int, got 'http'"),
        (["prot=80"], "unknown key prot; did you mean port?"),
    ],
)
def test_mistakes_are_told_in_one_line(
    arguments: list[str], words: str, demo: Callable[..., Finished], tmp_path: Path
) -> None:
    done = demo(*arguments)
    assert done.status == 1
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert words in done.err
    assert os.listdir(tmp_path) == []
