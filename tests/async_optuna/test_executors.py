"""Where trials run: what their processes see, and that none of them outlives its purpose."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import trial_tasks
from app_runs import needs_proc, stop_forkserver, wait_until

from async_optuna.errors import SearchError
from async_optuna.executors import Ended, Executor, ProcessExecutor
from async_optuna.inline_executor import InlineExecutor
from async_optuna.slots import Slot
from async_optuna.worker import OUTPUT, Job

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="this system cannot fork")


@pytest.fixture(scope="module", autouse=True)
def _own_forkserver() -> Iterator[None]:
    stop_forkserver()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("OMP_NUM_THREADS", raising=False)
        patch.setenv("PYTHONWARNINGS", "error")
        ProcessExecutor(trial_tasks.do, [Slot(0)])
        assert "OMP_NUM_THREADS" not in os.environ
        yield
    stop_forkserver()


@pytest.fixture
def executor() -> Iterator[ProcessExecutor]:
    executor = ProcessExecutor(trial_tasks.do, [Slot(0), Slot(1)])
    yield executor
    executor.kill()
    list(executor.stop(0))


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Job]:
    def make(number: int, *overrides: str, **environment: str) -> Job:
        folder = tmp_path / str(number)
        folder.mkdir()
        return Job(number, overrides, folder, environment=environment)

    return make


def ended(executor: Executor, count: int = 1) -> list[Ended]:
    found: list[Ended] = []
    wait_until(lambda: found.extend(executor.wait(0.5)) or len(found) >= count)
    return sorted(found, key=lambda ended: ended.number)


def left(folder: Path) -> Any:
    return json.loads((folder / trial_tasks.LEFT).read_text(encoding="utf-8"))


def begun(folder: Path) -> list[int]:
    """Wait until a task has begun to wait; its processes."""
    wait_until((folder / trial_tasks.LEFT).exists)
    return list(left(folder))


def lives(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


def test_two_at_once_each_with_its_own_slot_and_outcome(executor: ProcessExecutor, job: Callable[..., Job]) -> None:
    executor.start(executor.slots[0], job(0, "square", "3"))
    executor.start(executor.slots[1], job(1, "square", "4"))
    first, second = ended(executor, 2)
    assert (first.number, first.slot.index, first.outcome and first.outcome.values) == (0, 0, [9.0])
    assert (second.number, second.slot.index, second.outcome and second.outcome.values) == (1, 1, [16.0])


def test_what_a_trials_process_sees(
    executor: ProcessExecutor, job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = job(0, "look", CUDA_VISIBLE_DEVICES="GPU-5")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-4,GPU-5")
    monkeypatch.setenv("SET_LATER", "than the process was started that trials are forked from")
    executor.start(Slot(0, num_threads=7), one)
    ended(executor)
    seen = left(one.folder)
    assert seen["environment"]["CUDA_VISIBLE_DEVICES"] == "GPU-5"
    assert seen["environment"]["OMP_NUM_THREADS"] == "7"
    assert seen["environment"]["SET_LATER"]
    assert seen["group"] == seen["pid"] != os.getpgid(0)
    assert seen["loaded"]
    assert sorted((one.folder / OUTPUT).read_text(encoding="utf-8").splitlines()) == [
        *("from a child", "to the errors", "to the output")
    ]


def test_the_users_own_number_of_threads_is_kept(
    executor: ProcessExecutor, job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = job(0, "look")
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    executor.start(Slot(0, num_threads=7), one)
    ended(executor)
    assert left(one.folder)["environment"]["OMP_NUM_THREADS"] == "5"


def test_reports_go_to_the_controller_and_its_answer_back(executor: ProcessExecutor, job: Callable[..., Job]) -> None:
    heard = []

    def answer(number: int, value: float, step: int, num_steps: int | None) -> str | None:
        heard.append((number, value, step))
        return "enough" if step == 2 else None

    executor.on_report = answer
    executor.start(executor.slots[0], job(4, "report", "5", "6", "7"))
    (end,) = ended(executor)
    assert heard == [(4, 5.0, 1), (4, 6.0, 2)]
    assert end.outcome is not None
    assert (end.outcome.state, end.outcome.reason) == ("PRUNED", "enough")


def test_an_error_of_the_study_is_not_taken_for_the_trials(executor: ProcessExecutor, job: Callable[..., Job]) -> None:
    def no_space(number: int, value: float, step: int, num_steps: int | None) -> None:
        raise OSError(28, "No space left on device")

    executor.on_report = no_space
    executor.start(executor.slots[0], job(0, "report", "5"))
    with pytest.raises(OSError, match="No space left"):
        ended(executor)


@pytest.mark.parametrize(
    ("task", "reason"),
    [(("kill",), "its process was killed by signal 9"), (("leave", "3"), "its process was gone with exit status 3")],
)
def test_a_process_that_dies_leaves_no_outcome_but_its_output(
    task: tuple[str, ...], reason: str, executor: ProcessExecutor, job: Callable[..., Job]
) -> None:
    one = job(0, *task)
    executor.start(executor.slots[0], one)
    (end,) = ended(executor)
    assert (end.outcome, end.reason) == (None, reason)
    if task == ("kill",):
        assert (one.folder / OUTPUT).read_text(encoding="utf-8") == "last words\n"


@needs_proc
def test_what_a_trial_started_ends_with_it(executor: ProcessExecutor, job: Callable[..., Job]) -> None:
    one = job(0, "orphan")
    executor.start(executor.slots[0], one)
    (end,) = ended(executor)
    assert end.outcome is not None
    (child,) = left(one.folder)
    wait_until(lambda: not lives(child), 5)


def test_a_process_that_has_just_died_can_be_asked_to_stop(
    executor: ProcessExecutor, job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    executor.start(Slot(0), job(0, "parent"))
    (running,) = executor._running.values()
    os.kill(running.worker.pid, signal.SIGKILL)
    running.worker.process.join(10)
    monkeypatch.setattr(type(running.worker.process), "is_alive", lambda process: True)  # its sentinel is slower
    executor._signal(signal.SIGTERM)


@needs_proc
def test_stopping_asks_first_and_then_insists(executor: ProcessExecutor, job: Callable[..., Job]) -> None:
    jobs = [job(0, "parent"), job(1, "deaf"), job(2, "square")]
    for slot, one in zip([Slot(0), Slot(1), Slot(2)], jobs, strict=True):
        executor.start(slot, one)
    pids = [pid for one in jobs[:2] for pid in begun(one.folder)]
    wait_until((jobs[2].folder / "trial.json").exists)
    began = time.monotonic()
    found = sorted(executor.stop(0.5), key=lambda ended: ended.number)
    assert time.monotonic() - began < 5
    assert [end.reason for end in found[:2]] == [
        "its process was gone with exit status 143",
        "its process was killed by signal 9",
    ]
    assert found[2].outcome is not None  # it had ended by itself
    assert found[2].outcome.values == [9.0]
    wait_until(lambda: not any(map(lives, pids)), 5)
    assert list(executor.stop(0)) == []


@needs_proc
def test_a_trial_that_hangs_is_ended_with_the_place_where_it_was(
    executor: ProcessExecutor, job: Callable[..., Job]
) -> None:
    one = job(0, "hold")
    executor.start(executor.slots[0], one)
    pids = begun(one.folder)
    end = executor.end(0, "it hung")
    assert end is not None
    assert end.outcome is not None
    assert (end.outcome.state, end.outcome.reason) == ("FAIL", "it hung")
    assert not any(map(lives, pids))
    assert "in hold" in (one.folder / OUTPUT).read_text(encoding="utf-8")
    assert executor.end(0, "it hung") is None


def test_a_trial_whose_controller_is_gone_has_not_failed(
    executor: ProcessExecutor, job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = job(0, "report_when_told")
    pipe = executor._context.Pipe
    ends = []
    monkeypatch.setattr(executor._context, "Pipe", lambda: ends.append(pipe()) or ends[-1])
    executor.start(executor.slots[0], one)
    begun(one.folder)
    ends[0][0].close()  # as the controller's death would
    (one.folder / "report").touch()
    (end,) = ended(executor)
    assert end.outcome is None


@needs_proc
def test_killing_is_at_once(executor: ProcessExecutor, job: Callable[..., Job]) -> None:
    one = job(0, "deaf")
    executor.start(executor.slots[0], one)
    pids = begun(one.folder)
    executor.kill()
    assert not any(map(lives, pids))


@needs_proc
def test_the_next_trials_process_waits_for_its_job(executor: ProcessExecutor, job: Callable[..., Job]) -> None:
    first, second, third = job(0, "hold"), job(1, "give", "1.5"), job(2, "give", "2.5")
    executor.start(executor.slots[0], first)
    begun(first.folder)
    for number, next_one in ((1, second), (2, third)):
        assert list(executor.wait(0)) == []
        waits = executor._processes._spare
        assert waits is not None
        assert lives(waits.pid)
        if number == 2:  # whatever kills it, no trial is lost
            os.kill(waits.pid, signal.SIGKILL)
            waits.process.join()
        executor.start(executor.slots[1], next_one)
        assert (executor._running[number].worker is waits) == (number == 1)
        (end,) = ended(executor)
        assert end.outcome is not None
        assert end.outcome.values == [number + 0.5]
    executor.close()
    assert executor._processes._spare is None


CONTROLLER = """
import sys, time
from pathlib import Path
import trial_tasks
from async_optuna.executors import ProcessExecutor
from async_optuna.slots import Slot
from async_optuna.worker import Job

if __name__ == "__main__":
    executor = ProcessExecutor(trial_tasks.do, [Slot(0), Slot(1), Slot(2)])
    for number, task in enumerate(["parent", "deaf", "hold"]):
        executor.start(executor.slots[number], Job(number, [task], Path(sys.argv[1]) / str(number)))
    for _ in executor.wait(0):
        pass
    print(executor._processes._spare.pid, flush=True)
    time.sleep(60)
"""


@needs_proc
def test_no_process_outlives_a_killed_controller(tmp_path: Path) -> None:
    (tmp_path / "controller.py").write_text(CONTROLLER, encoding="utf-8")
    for number in "012":
        (tmp_path / number).mkdir()
    path = os.pathsep.join([os.environ["PYTHONPATH"], str(Path(trial_tasks.__file__).parent)])
    controller = subprocess.Popen(
        [sys.executable, str(tmp_path / "controller.py"), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
    )
    assert controller.stdout is not None
    pids = [pid for number in "012" for pid in begun(tmp_path / number)]
    with controller.stdout:
        pids.append(int(controller.stdout.readline()))  # that of the process that waits
    assert all(map(lives, pids))
    controller.kill()
    controller.wait()
    try:
        wait_until(lambda: not any(map(lives, pids)), 2)
    finally:
        for pid in filter(lives, pids):
            os.kill(pid, signal.SIGKILL)


def test_checks_run_where_trials_would(executor: ProcessExecutor) -> None:
    assert executor.call(trial_tasks.add, 1, 2) == 3
    assert executor.call(os.getpid) != os.getpid()
    with pytest.raises(SearchError, match="^no such data$"):
        executor.call(trial_tasks.refuse, "no such data")
    with pytest.raises(SearchError, match="^TypeError: unsupported operand"):
        executor.call(trial_tasks.add, 1, "2")
    with pytest.raises(SearchError, match="the check before the first trial died with exit status 3"):
        executor.call(os._exit, 3)


def test_no_check_outlives_a_ctrl_c_at_its_very_start(
    executor: ProcessExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[BaseProcess] = []

    def start_and_be_interrupted(process: BaseProcess) -> None:
        process.start()
        started.append(process)
        raise KeyboardInterrupt

    monkeypatch.setattr("async_optuna.executors.start", start_and_be_interrupted)
    with pytest.raises(KeyboardInterrupt):
        executor.call(time.sleep, 60)
    started[0].join(5)
    assert started[0].exitcode == -signal.SIGKILL


def test_in_this_process_trials_run_one_by_one(job: Callable[..., Job]) -> None:
    executor = InlineExecutor(trial_tasks.do)
    assert len(executor.slots) == 1
    assert executor.call(os.getpid) == os.getpid()
    executor.on_report = lambda number, value, step, num_steps: "enough" if value > 5 else None
    executor.start(executor.slots[0], job(0, "report", "5", "6", "7"))
    executor.start(executor.slots[0], job(1, "fail"))
    first, second = executor.wait(0)
    assert first.outcome is not None
    assert second.outcome is not None
    assert (first.outcome.state, second.outcome.state) == ("PRUNED", "FAIL")
    assert list(executor.stop(0)) == []


def test_a_missing_module_to_preload_is_refused_with_the_nearest() -> None:
    for module, wrong, near in (
        ("trial_taks", "trial_taks", "trial_tasks"),
        ("async_optuna.hydra_ap.job", "async_optuna.hydra_ap", "async_optuna.hydra_app"),
        ("json.decodr", "json.decodr", "json.decoder"),
    ):
        with pytest.raises(SearchError, match=f"there is no module {wrong}; did you mean {near}[?]"):
            ProcessExecutor(trial_tasks.do, [Slot(0)], preload=[module])
