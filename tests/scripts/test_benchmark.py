"""The benchmark's command: everything a little, once, and nothing twice."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch

from conftest import PROJECT, Finished

SCRIPT = "scripts/benchmark.py"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*LeafSpec", "ignore:.*use of fork", "ignore:.*torch.jit.trace")
@pytest.mark.parametrize(
    "parts",
    [
        ("imports", "busy", "threads", "gpu"),
        ("overhead", "dimensions", "batch_size", "batch_size_time", "time_to_accuracy", "loops_to_accuracy"),
        ("peers",),
    ],
)
def test_a_little_of_everything(parts: tuple[str, ...], command: Callable[..., Finished], tmp_path: Path) -> None:
    results = tmp_path / "RESULTS.md"
    results.write_text("".join(f"<!-- bench {part}: begin -->\n<!-- bench {part}: end -->\n" for part in parts))
    done = command(SCRIPT, *parts, "--device", "cpu", "--smoke", "--results", str(results))
    assert done.status == 0, done.err
    out = tmp_path / "outputs/bench"
    for part in parts:
        text = (out / f"{part}.md").read_text(encoding="utf-8")
        assert text.strip() in done.out
        assert text.strip() in results.read_text(encoding="utf-8")
        assert f"`python scripts/benchmark.py {parts[0]}" in text
        assert "one repeat" in text
        assert (out / f"{part}.png").read_bytes().startswith(b"\x89PNG")
    assert {path.suffix for path in out.iterdir()} == {".csv", ".md", ".png"}
    if "batch_size_time" in parts:
        curve = pd.read_csv(out / "batch_size_time.csv")
        assert curve["steps"].tolist() == [1, 2, 3, 4, 5]
        assert curve["seconds"].is_monotonic_increasing


@pytest.mark.slow
def test_a_little_of_it_and_then_nothing_again(command: Callable[..., Finished], tmp_path: Path) -> None:
    out = tmp_path / "outputs/bench"
    done = command(SCRIPT, "end_to_end", "pipeline", "--device", "cpu", "--smoke")
    assert done.status == 0, done.err
    for part in ("end_to_end", "pipeline"):
        assert (out / f"{part}.md").read_text(encoding="utf-8").strip() in done.out
        assert (out / f"{part}.png").read_bytes().startswith(b"\x89PNG")
    steps = pd.read_csv(out / "end_to_end.csv")
    assert steps["variant"].tolist() == ["template", "lightning", "plain", "careful", "best", "floor"]
    assert set(steps["steps"]) == {2}
    assert set(steps["images"]) == {64}
    assert set(steps["dataset"]) == {"mnist-5k"}
    assert (steps["seconds"] > 0).all()
    before = steps["seconds"].tolist()
    again = command(SCRIPT, "end_to_end", "pipeline", "--device", "cpu", "--smoke")
    assert "2 of 2 measured before; --fresh measures them again" in again.err
    assert pd.read_csv(out / "end_to_end.csv")["seconds"].tolist() == before
    fresh = command(SCRIPT, "end_to_end", "--device", "cpu", "--smoke", "--fresh")
    assert "measured before" not in fresh.err
    assert len(pd.read_csv(out / "end_to_end.csv")) == len(before)
    assert pd.read_csv(out / "end_to_end.csv")["seconds"].tolist() != before


def test_stopped_it_says_how_to_go_on(command: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch) -> None:
    from cnnlab.workbench.benchmark import loops

    def stop(*given: object) -> float:
        raise KeyboardInterrupt

    monkeypatch.setattr(loops, "bare", stop)
    stopped = command(SCRIPT, "overhead", "--smoke", "--fresh")
    assert stopped.status == 130
    assert stopped.err.splitlines()[-1].endswith("benchmark.py overhead --smoke goes on")
    assert not list(Path("outputs").rglob("*.md"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_without_a_gpu_its_part_says_so(command: Callable[..., Finished]) -> None:
    refused = command(SCRIPT, "gpu")
    assert refused.status == 1
    assert refused.err.startswith("error: the part gpu needs a CUDA GPU: ")
    assert refused.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["overhaed"], "unknown part 'overhaed'.*did you mean overhead"),
        (["overhead", "--repeats", "0"], "must be at least 1, got 0"),
        (["overhead", "--smoke", "--set", "data.batch=3"], "error: unknown key data.batch"),
        (["overhead", "--smoke", "--models", "linaer"], "error: unknown model 'linaer'.*did you mean linear"),
        (["overhead", "--smoke", "--results", "absent.md"], "error: absent.md holds no <!-- bench overhead: begin -->"),
    ],
)
def test_bad_input_is_told_in_one_line(command: Callable[..., Finished], arguments: list[str], message: str) -> None:
    refused = command(SCRIPT, *arguments)
    assert refused.status in (1, 2)
    assert re.search(message, refused.err)
    assert not Path("outputs").exists()


def test_help_needs_no_torch(tmp_path: Path) -> None:
    code = (
        f"import runpy, sys; sys.argv = ['benchmark.py', '--help']; runpy.run_path({str(PROJECT / SCRIPT)!r}, run_name="
    )
    code += "'__main__')"
    watched = f"import atexit, sys; atexit.register(lambda: print('torch' in sys.modules)); {code}"
    shown = subprocess.run([sys.executable, "-c", watched], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "end_to_end" in shown.stdout
    assert shown.stdout.splitlines()[-1] == "False"
