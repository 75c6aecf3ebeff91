"""`python scripts/demo.py`: what is drawn in the browser is answered, on this machine alone, until Ctrl-C."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fork_server
from conftest import PROJECT, Finished

SECONDS = 60.0
ONE = ([0.5, 0.5, 0.5], [0.85, 0.5, 0.15])
ANGLES = np.linspace(0, 2 * np.pi, 30)
ZERO = ((0.5 + 0.2 * np.sin(ANGLES)).tolist(), (0.5 + 0.3 * np.cos(ANGLES)).tolist())


@pytest.fixture
def demo(command: Callable[..., Finished]) -> Callable[..., Finished]:
    """Run `python scripts/demo.py <arguments>`."""
    return partial(command, "scripts/demo.py")


@pytest.fixture
def taken_port() -> Iterator[int]:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        yield int(taken.getsockname()[1])


@contextmanager
def serving(folder: Path, environment: dict[str, str], *arguments: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The demo in a process of its own, and its port."""
    command = [sys.executable, "-W", "error", str(PROJECT / "scripts/demo.py"), *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with fork_server.Popen(command, cwd=folder, env=environment, **pipes) as process:  # type: ignore[call-overload]
        try:
            line = process.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:(\d+) \(Ctrl-C ends\)$", line.strip())
            if found is None:
                process.kill()
                pytest.fail(line + process.stderr.read())
            yield process, int(found[1])
        finally:
            process.kill()


def get(port: int, path: str, **headers: str) -> tuple[int, str]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)) as connection:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, response.read().decode()


class Browser:
    """One window on the page; as a client's document does not follow the server's, it is looked at anew each time."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/"
        self.session = pytest.importorskip("bokeh.client").pull_session(url=self.url)

    def close(self) -> None:
        self.session.close()

    def see(self, name: str) -> Any:
        """The part of the page with that name, as it is now."""
        from bokeh.client import pull_session

        with closing(pull_session(session_id=self.session.id, url=self.url)) as now:
            return now.document.get_model_by_name(name)

    def draw(self, *strokes: tuple[list[float], list[float]]) -> str:
        """What the page says once it has answered."""
        source = self.session.document.get_model_by_name("strokes")
        source.data = {"xs": [xs for xs, _ in strokes], "ys": [ys for _, ys in strokes]}
        self.session.force_roundtrip()
        return re.sub("(<[^>]*>)+", " ", self.see("answer").text).strip()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:There is no current event loop")  # Bokeh's client, from Python 3.12 on
def test_strokes_are_answered_on_this_machine_alone(
    train: Callable[..., Finished], tmp_path: Path, environment: dict[str, str], taken_port: int
) -> None:
    pytest.importorskip("bokeh")
    assert train("model=linear", "trainer=cpu", "trainer.max_epochs=3", "logger=none", "test=false").status == 0
    with serving(tmp_path, environment, "run=latest", f"port={taken_port}") as (process, port):
        assert taken_port < port < taken_port + 20

        status, page = get(port, "/")
        assert status == 200
        assert "<title>Draw a digit</title>" in page
        assert "//" not in re.sub(r"//127\.0\.0\.1", "", " ".join(re.findall(r"(?:src|href)\s*=\s*[\"']?(\S+)", page)))
        upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec_WebSocket_Version": "13"}
        upgrade |= {"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ=="}
        assert get(port, "/ws", Origin="http://example.org", **upgrade)[0] == 403
        assert get(port, "/", Host=f"localhost:{port}")[0] == 200
        for name in ("example.org", f"example.org:{port}", "localhost.example.org", "127.0.0.1.example.org"):
            assert [get(port, path, Host=name)[0] for path in ("/", "/static/js/bokeh.min.js")] == [403, 403]
        assert get(port, "/ws", Host=f"example.org:{port}", **upgrade)[0] == 403
        with pytest.raises(OSError, match="refused|timed out|unreachable"):
            socket.create_connection(("127.0.0.2", port), timeout=5)

        with closing(Browser(port)) as browser:
            assert "draw a digit" in browser.see("answer").text
            assert re.fullmatch(r"1 \d+\.\d%", browser.draw(ONE))
            assert re.fullmatch(r"0 \d+\.\d%", browser.draw(ZERO))
            bars, (seen,) = browser.see("probabilities").data, browser.see("seen").data["image"]
            assert bars["label"] == list("0123456789")
            assert sum(bars["probability"]) == pytest.approx(1)
            assert bars["weight"] == ["bold"] + 9 * ["normal"]
            assert seen.shape == (28, 28)
            assert seen.max() == 255
            assert seen[14, 14] == seen[0].max() == 0  # a ring
            assert browser.draw() == "draw a digit"
            assert sum(browser.see("probabilities").data["probability"]) == 0

        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=SECONDS)
        assert (process.returncode, err) == (130, "stopped by Ctrl-C\n")
        assert [line for line in out.splitlines() if "from Origin 'http://example.org'" not in line] == []


def test_what_is_drawn_becomes_a_picture() -> None:
    pytest.importorskip("bokeh")
    from cnnlab.workbench.demo.strokes import SIDE, WIDTH, rasterise

    (line,) = rasterise([[(0.25, 0.9), (0.25, 0.5)]])
    rows, columns = np.nonzero(line)
    assert (line.shape, line.dtype, set(np.unique(line))) == ((SIDE, SIDE), np.uint8, {0, 255})
    radius = WIDTH * SIDE / 2
    assert columns.min() == pytest.approx(0.25 * SIDE - radius, abs=2)
    assert columns.max() == pytest.approx(0.25 * SIDE + radius, abs=2)
    assert rows.min() == pytest.approx(0.1 * SIDE - radius, abs=2)  # y counts upwards, rows downwards
    assert rows.max() == pytest.approx(0.5 * SIDE + radius, abs=2)
    assert 0 < (rasterise([[(0.5, 0.5)]]) > 0).sum() < (rasterise([[(0.5, 0.5)], [(0.9, 0.5)]]) > 0).sum()
    assert rasterise([[(-3.0, 0.5), (4.0, 0.5)]]).any()


def test_the_page_clears_and_says_why_there_is_no_answer() -> None:
    pytest.importorskip("bokeh")
    from bokeh.events import ButtonClick
    from bokeh.models.widgets import Button

    from cnnlab.errors import UserError
    from cnnlab.workbench.demo.page import Page

    class Refusing:
        class_names = ("a", "b")

        def answer(self, picture: Any) -> Any:
            raise UserError("no <digit> in it")

    page = Page(Refusing(), "title")  # type: ignore[arg-type]
    assert "draw one character" in page.answer.text
    page.strokes.data = {"xs": [[0.1]], "ys": [[0.1]]}
    assert "no &lt;digit&gt; in it" in page.answer.text
    (clear,) = page.layout.select({"type": Button})
    clear._trigger_event(ButtonClick(clear))
    assert "draw one character" in page.answer.text


def test_other_data_than_digits_are_refused(
    smoke: Callable[..., Finished], demo: Callable[..., Finished], tmp_path: Path
) -> None:
    pytest.importorskip("bokeh")
    inputs, labels = np.random.default_rng(0).integers(0, 256, (60, 28, 28), dtype=np.uint8), np.arange(60) % 2
    np.savez(tmp_path / "textures.npz", x_train=inputs, y_train=labels, x_test=inputs, y_test=labels)
    data = ["data=npz", "data.path=textures.npz", "data.train_size=null", "data.batch_size=8", "model=linear"]
    assert smoke(*data, "test=false").status == 0
    done = demo()
    assert done.status == 1
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
    pytest.importorskip("bokeh")
    done = demo(*arguments)
    assert done.status == 1
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert words in done.err
    assert os.listdir(tmp_path) == []


def test_without_bokeh_the_way_to_get_it_is_told(
    demo: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert demo().err == 'error: the demo needs bokeh: pip install -e ".[demo]"\n'
