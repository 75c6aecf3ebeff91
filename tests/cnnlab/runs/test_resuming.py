"""A run that is killed, stopped or finished goes on where it was, and refuses to become another run."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import fork_server
from cnnlab.callbacks.progress import Progress
from cnnlab.cli.signals import signals_raise, stopping
from cnnlab.errors import Interrupted
from cnnlab.runs.locks import locked
from conftest import PROJECT, Finished

# Everything that could drift apart: batch norm, dropout, augmentation, a schedule over the whole run.
SETTINGS = [
    "trainer=cpu",
    "trainer.num_threads=1",
    "trainer.max_epochs=4",
    "model.norm=batch",
    "model.dropout=0.3",
    "augment=affine",
    "data.train_size=640",
    "data.val_size=100",
]


def weights(folder: Path, name: str = "last") -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(folder / f"checkpoints/{name}.ckpt")["state_dict"]
    return state


def wait_for_epoch(folder: Path, epoch: int, seconds: float = 60) -> None:
    """Wait until the run has begun the epoch after `epoch`."""
    deadline = time.monotonic() + seconds
    log = folder / "train.log"
    while time.monotonic() < deadline:
        if log.is_file() and re.search(rf"epoch +{epoch}/", log.read_text(encoding="utf-8")):
            return
        time.sleep(0.01)
    raise TimeoutError(f"no epoch {epoch} in {seconds} s")


@pytest.mark.slow
def test_a_killed_run_ends_with_the_same_bits(
    train: Callable[..., Finished], tmp_path: Path, environment: dict[str, str]
) -> None:
    whole = train(*SETTINGS, "hydra.run.dir=outputs/runs/whole")
    assert whole.status == 0, whole.err

    killed = tmp_path / "outputs/runs/killed, (1) é"
    process = fork_server.Popen(
        [sys.executable, str(PROJECT / "train.py"), *SETTINGS, f"hydra.run.dir='{killed}'"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    wait_for_epoch(killed, 2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (killed / "metrics.json").exists()
    moved = killed.rename(tmp_path / "outputs/runs/moved = é, (2)")

    again = train(*SETTINGS, f"init_from={moved}", "hydra.run.dir=outputs/runs/again")
    assert again.status == 0, again.err
    assert all(torch.equal(value, weights(again.folder)[name]) for name, value in weights(whole.folder).items())
    assert len(scalars(again.folder, "1_epochs/val/accuracy")) == 4
    assert not (moved / "metrics.json").exists()

    resumed = train(f"resume={moved}")
    assert resumed.status == 0, resumed.err
    expected, actual = weights(whole.folder), weights(moved)
    assert expected.keys() == actual.keys()
    for name, value in expected.items():
        assert torch.equal(value, actual[name]), name
    for name, value in weights(whole.folder, "best").items():
        assert torch.equal(value, weights(moved, "best")[name]), name
    resumed.folder = moved
    times = {"train_seconds", "images_per_second"}
    assert {k: v for k, v in resumed.metrics.items() if k not in times} == {
        k: v for k, v in whole.metrics.items() if k not in times
    }
    epochs = [(event.step, event.value) for event in scalars(moved, "1_epochs/val/accuracy")]
    assert dict(epochs) == {event.step: event.value for event in scalars(whole.folder, "1_epochs/val/accuracy")}
    steps = [event.step for event in scalars(moved, "2_steps/train/loss")]
    assert steps == sorted(set(steps))


@pytest.mark.gpu
@pytest.mark.parametrize("loop", [["trainer.fast_loop=false"], ["trainer.fast_loop=true", "trainer.cuda_graph=true"]])
def test_a_run_on_a_gpu_that_is_killed_ends_with_the_same_bits(
    loop: list[str], train: Callable[..., Finished], tmp_path: Path, environment: dict[str, str]
) -> None:
    settings = [*SETTINGS, "trainer.accelerator=cuda", "trainer.max_epochs=8", "logger=none", *loop]
    whole = train(*settings, "hydra.run.dir=outputs/runs/whole")
    assert (whole.status, whole.err) == (0, "")
    killed = tmp_path / "outputs/runs/killed"
    command = [sys.executable, str(PROJECT / "train.py"), *settings, f"hydra.run.dir={killed}"]
    process = fork_server.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
    wait_for_epoch(killed, 2)
    process.kill()
    process.wait()
    assert not (killed / "metrics.json").exists()
    resumed = train(f"resume={killed}")
    assert (resumed.status, resumed.err) == (0, "")
    resumed.folder = killed
    assert resumed.numbers == whole.numbers
    assert all(torch.equal(value, weights(killed)[name]) for name, value in weights(whole.folder).items())


def scalars(folder: Path | None, tag: str) -> list[object]:
    assert folder is not None
    events = EventAccumulator(str(folder))
    events.Reload()
    return list(events.Scalars(tag))


@pytest.mark.parametrize(
    ("signum", "status"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow), (signal.SIGHUP, 129)],
)
def test_stopped_by_a_signal(
    signum: signal.Signals,
    status: int,
    train: Callable[..., Finished],
    tmp_path: Path,
    not_under_nohup: None,
) -> None:
    folder = tmp_path / "outputs/runs/stopped"

    def stop() -> None:
        wait_for_epoch(folder, 2)
        os.kill(os.getpid(), signum)

    threading.Thread(target=stop, daemon=True).start()
    stopped = train(*SETTINGS, "trainer.max_epochs=500", "logger=none", f"hydra.run.dir={folder}")
    assert stopped.status == status
    assert len(stopped.err.splitlines()) == 1
    assert "resume=outputs/runs/stopped" in stopped.err
    assert (folder / "checkpoints/last.ckpt").is_file()
    assert not (folder / "metrics.json").exists()
    assert torch.load(folder / "checkpoints/last.ckpt")["epoch"] >= 1
    if signum == signal.SIGHUP:  # nobody is left to read the terminal
        log = (folder / "train.log").read_text(encoding="utf-8").splitlines()
        assert log[-1].endswith("resume=outputs/runs/stopped")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a terminal of Unix")
def test_a_terminal_that_is_closed_ends_a_run_as_any_signal_does(tmp_path: Path, environment: dict[str, str]) -> None:
    import pty

    folder = tmp_path / "run"
    command = [sys.executable, str(PROJECT / "train.py"), *SETTINGS, "trainer.max_epochs=500", "logger=none"]
    environment.pop("PYTHONUNBUFFERED", None)  # what was printed is still to be written when the terminal is closed
    ours, its = pty.openpty()
    process = fork_server.Popen(
        [*command, f"hydra.run.dir={folder}"],
        cwd=tmp_path,
        env=environment,
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )
    os.close(its)
    wait_for_epoch(folder, 2)
    os.close(ours)
    process.send_signal(signal.SIGHUP)  # as the kernel does where the terminal is the session's own
    assert process.wait(60) == 129
    assert "resume=run" in (folder / "train.log").read_text(encoding="utf-8").splitlines()[-1]


@pytest.fixture
def not_under_nohup() -> Iterator[None]:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def test_under_nohup_a_closed_terminal_stops_nothing(not_under_nohup: None) -> None:
    assert signal.SIGHUP in stopping()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with signals_raise():
        os.kill(os.getpid(), signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    assert signal.SIGHUP not in stopping()


def test_a_run_counted_in_steps_is_extended_from_a_new_epoch(
    smoke: Callable[..., Finished], train: Callable[..., Finished]
) -> None:
    settings = ["trainer.max_epochs=9", "trainer.max_steps=12", "logger=none", "test=false", "model=linear"]
    first = smoke(*settings, "scheduler=step", "scheduler.step_size=1")
    longer = train(f"resume={first.folder}", "trainer.max_steps=28")
    assert longer.status == 0, longer.err
    assert [line.split()[1] for line in longer.out.splitlines() if line.startswith("epoch")] == ["3/9", "4/9"]
    last = torch.load(first.folder / "checkpoints/last.ckpt")  # type: ignore[operator]
    assert (last["global_step"], last["lr_schedulers"][0]["last_epoch"]) == (28, 3)  # the epoch cut short is no step
    assert first.metrics["epochs"] == 4
    assert first.metrics["images_per_second"] * first.metrics["train_seconds"] == pytest.approx(28 * 32, rel=1e-3)
    again = train(f"resume={first.folder}")
    assert "is finished" in again.out
    fixed = smoke(*settings)
    refused = train(f"resume={fixed.folder}", "trainer.max_steps=28")
    assert "trainer.max_steps=28 is refused, the run's schedule (OneCycleLR) was laid out for another" in refused.err


@pytest.mark.parametrize(
    "settings",
    [
        ["trainer.max_epochs=9", "trainer.max_steps=28", "scheduler=step", "scheduler.step_size=1"],
        # Every look after the first lowers the rate: one that is left out, or done twice, shows.
        ["trainer.max_epochs=4", "scheduler=plateau", "scheduler.patience=0", "scheduler.threshold=1"],
    ],
)
def test_a_run_that_is_stopped_between_epochs_goes_on_to_the_same_bits(
    settings: list[str],
    smoke: Callable[..., Finished],
    train: Callable[..., Finished],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    settings = [*settings, "test=false", "model=linear", "augment=shift", "logger=none"]
    whole = smoke(*settings)
    start = Progress.on_train_epoch_start

    def killed(self: Progress, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == 2:
            raise Interrupted(signal.SIGINT)
        start(self, trainer, pl_module)

    monkeypatch.setattr(Progress, "on_train_epoch_start", killed)
    folder = tmp_path / "outputs/runs/killed"
    assert smoke(*settings, f"hydra.run.dir={folder}").status == 130
    monkeypatch.setattr(Progress, "on_train_epoch_start", start)
    resumed = train(f"resume={folder}")
    assert resumed.status == 0, resumed.err
    resumed.folder = folder
    assert all(torch.equal(value, weights(folder)[name]) for name, value in weights(whole.folder).items())
    times = {"train_seconds", "images_per_second"}
    assert {k: v for k, v in resumed.metrics.items() if k not in times} == {
        k: v for k, v in whole.metrics.items() if k not in times
    }


def test_a_finished_run_is_extended_if_its_schedule_has_no_fixed_length(
    smoke: Callable[..., Finished], train: Callable[..., Finished]
) -> None:
    first = smoke("scheduler=step", "logger=none", "test=false")
    longer = train(f"resume={first.folder}", "trainer.max_epochs=3")
    assert longer.status == 0, longer.err
    assert first.metrics["epochs"] == 3
    assert "epoch 3/3" in longer.out
    assert "epoch 1/3" not in longer.out


def test_a_finished_run_as_it_is_stays_as_it_is(smoke: Callable[..., Finished], train: Callable[..., Finished]) -> None:
    first = smoke("logger=none")
    before = first.metrics
    again = train(f"resume={first.folder}")
    assert again.status == 0, again.err
    assert "is finished" in again.out
    assert first.metrics == before


def test_a_run_killed_during_its_test_is_tested(smoke: Callable[..., Finished], train: Callable[..., Finished]) -> None:
    first = smoke("trainer.max_epochs=2", "logger=none")
    before = first.metrics
    (first.folder / "metrics.json").unlink()
    resumed = train(f"resume={first.folder}")
    assert resumed.status == 0, resumed.err
    assert first.metrics == before


@pytest.mark.parametrize(
    ("settings", "overrides", "reason"),
    [
        (["scheduler=onecycle"], ["trainer.max_epochs=3"], "OneCycleLR.* was laid out for another"),
        (["scheduler=cosine"], ["trainer.max_epochs=3"], "CosineAnnealingLR.* was laid out for another"),
        (["scheduler=step"], ["optimizer.lr=1"], "optimizer.lr=1 is refused"),
        (["scheduler=step"], ["model=linear"], "model=linear is refused"),
        (["scheduler=step"], ["-m"], "cannot be combined with --multirun"),
    ],
)
def test_refused_by_name(
    settings: list[str],
    overrides: list[str],
    reason: str,
    smoke: Callable[..., Finished],
    train: Callable[..., Finished],
) -> None:
    first = smoke("logger=none", "test=false", *settings)
    before = sorted(first.folder.rglob("*")), (first.folder / "metrics.json").read_text()
    refused = train(f"resume={first.folder}", *overrides)
    assert refused.status == 1
    assert re.search(reason, refused.err), refused.err
    assert len(refused.err.splitlines()) == 1
    after = sorted(first.folder.rglob("*"))
    assert (after, (first.folder / "metrics.json").read_text()) == before


def test_damaged_or_dangerous_checkpoint_is_refused(
    smoke: Callable[..., Finished], train: Callable[..., Finished]
) -> None:
    first = smoke("logger=none", "test=false", "trainer.max_epochs=2")
    (first.folder / "metrics.json").unlink()
    last = first.folder / "checkpoints/last.ckpt"
    content = last.read_bytes()

    last.write_bytes(content[: len(content) // 2])
    damaged = train(f"resume={first.folder}")
    assert damaged.status == 1
    assert re.fullmatch(r"error: .*last.ckpt is damaged.*\n", damaged.err), damaged.err

    torch.save({"model": torch.nn.Linear(1, 1)}, last)
    dangerous = train(f"resume={first.folder}")
    assert dangerous.status == 1
    assert re.fullmatch(r"error: .*last.ckpt is refused.*\n", dangerous.err), dangerous.err

    last.unlink()
    assert "has no checkpoints/last.ckpt" in train(f"resume={first.folder}").err


def test_a_saved_config_builds_nothing_foreign(smoke: Callable[..., Finished], train: Callable[..., Finished]) -> None:
    first = smoke("logger=none", "test=false", "trainer.max_epochs=2")
    (first.folder / "metrics.json").unlink()
    config = first.folder / ".hydra/config.yaml"
    config.write_text(config.read_text().replace("torch.optim.AdamW", "os.system"))
    refused = train(f"resume={first.folder}")
    assert refused.status == 1
    assert "asks for os.system" in refused.err


def test_other_data_are_refused(smoke: Callable[..., Finished], train: Callable[..., Finished]) -> None:
    first = smoke("logger=none", "test=false", "scheduler=step")
    record = first.folder / "environment.json"
    record.write_text(record.read_text().replace("mnist-5k", "mnist"))
    refused = train(f"resume={first.folder}", "trainer.max_epochs=2")
    assert refused.status == 1
    assert re.search("trained on mnist .* found now is mnist-5k", refused.err), refused.err


def test_init_from_goes_on_with_the_same_settings_and_data_only(smoke: Callable[..., Finished], tmp_path: Path) -> None:
    first = smoke("logger=none", "test=false", "scheduler=step")
    other = smoke("logger=none", "test=false", "scheduler=step", "model.hidden_units=5", f"init_from={first.folder}")
    assert other.status == 1
    assert "init_from goes on with the same settings, but model.hidden_units was 10 and is 5" in other.err
    missing = smoke("init_from=nowhere")
    assert missing.status == 1
    assert f"there is no run folder {tmp_path / 'nowhere'}" in missing.err
    (first.folder / "checkpoints/last.ckpt").unlink()
    anew = smoke("logger=none", "test=false", "scheduler=step", f"init_from={first.folder}")
    assert anew.status == 0, anew.err
    assert "had not finished an epoch" in anew.out


def test_a_run_that_is_still_going_is_left_alone(
    smoke: Callable[..., Finished], train: Callable[..., Finished]
) -> None:
    first = smoke("logger=none", "test=false", "scheduler=step")
    assert first.folder is not None
    with locked(first.folder):
        refused = train(f"resume={first.folder}", "trainer.max_epochs=2")
    assert refused.status == 1
    assert "is still running in another process" in refused.err
    assert train(f"resume={first.folder}", "trainer.max_epochs=2").status == 0


def test_a_failed_run_says_why_until_it_has_gone_on(
    smoke: Callable[..., Finished], train: Callable[..., Finished], tmp_path: Path
) -> None:
    failed = smoke("optimizer.lr=1e9", "trainer.max_epochs=2", "scheduler=none", "hydra.run.dir=outputs/runs/failed")
    assert failed.status == 1
    folder = tmp_path / "outputs/runs/failed"
    assert "training loss became" in (folder / "error.txt").read_text()
    whole = smoke("logger=none", "test=false", "scheduler=step")
    assert whole.folder is not None
    (whole.folder / "error.txt").write_text("old")
    assert train(f"resume={whole.folder}", "trainer.max_epochs=2").status == 0
    assert not (whole.folder / "error.txt").exists()
