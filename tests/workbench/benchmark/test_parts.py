"""The tables and figures that each part makes of its measurements."""

import pandas as pd
import pytest
from omegaconf import OmegaConf

from cnnlab.workbench.benchmark import (
    batch_size,
    dimensions,
    end_to_end,
    gpu,
    imports,
    overhead,
    pipeline,
    threads,
    time_to_accuracy,
)


def rows(seconds: dict[str, list[float]], **columns: object) -> pd.DataFrame:
    """Of variants with their seconds per repeat, over 10 steps of a batch."""
    size = columns.get("batch_size", 32)
    assert isinstance(size, int)
    known = {
        "device": "cpu",
        "precision": "32-true",
        "steps": 10,
        "images": 10 * size,
        "steps_per_epoch": 100,
        "batch_size": 32,
        **columns,
    }
    return pd.DataFrame(
        [
            {**known, "variant": name, "repeat": repeat, "seconds": value}
            for name, values in seconds.items()
            for repeat, value in enumerate(values)
        ]
    )


def lines(text: str) -> list[list[str]]:
    """The cells of a Markdown text's table rows, headers included."""
    rows = [line for line in text.splitlines() if line.startswith("|") and "---" not in line]
    return [row.removeprefix("| ").removesuffix(" |").split(" | ") for row in rows]


def test_overhead_is_what_a_step_takes_more_and_only_there_where_an_aim_was_it_is_judged() -> None:
    seconds = {"bare": [0.01, 0.02], "barebones": [0.012, 0.022], "template": [0.014, 0.0232], "fast": [0.0116, 0.0216]}
    small = rows(seconds, model="linear", batch_size=32)
    large = rows(
        {name: [100 * it for it in values] for name, values in seconds.items()}, model="tinyvgg", batch_size=128
    )
    _, linear, tinyvgg = lines(overhead.as_markdown(pd.concat([small, large])))
    assert linear[3:7] == ["1,500 (1,000–2,000)", "200 (200–200)", "360 (320–400)", "160 (160–160)"]
    assert linear[8:] == ["template ≤ 400 µs: yes, fast ≤ 150 µs: no"]
    assert tinyvgg[7:] == ["28.0 (16.0–40.0)", "template ≤ 5 %: no"]


def test_dimensions_tell_seconds_of_an_epoch_and_the_ratio_to_the_loop_by_hand() -> None:
    seconds = {"template": [1.0, 1.0], "fast": [0.5, 0.5], "plain": [1.4, 1.6]}
    header, line = lines(dimensions.as_markdown(rows(seconds, model="mlp", data="3-D")))
    told = dict(zip(header, line, strict=True))
    assert told["data"] == "3-D"
    assert (told["template"], told["plain / template"]) == ("10.00 (10.00–10.00)", "1.50 (1.40–1.60)")
    assert told["aim"] == "plain / template ≥ 1.5: yes"
    assert dimensions.draw(rows(seconds, model="mlp", data="3-D")).startswith(b"\x89PNG")


def test_end_to_end_tells_seconds_of_an_epoch_and_how_many_times_faster() -> None:
    seconds = {"template": [1.0], "fast": [0.5], "plain": [4.0], "careful": [2.0], "best": [1.5], "floor": [0.5]}
    header, epoch, ratio_header, ratio = lines(end_to_end.as_markdown(rows(seconds, model="vgg", batch_size=32)))
    told = dict(zip(header, epoch, strict=True))
    assert (told["template"], told["plain"], told["best in"]) == ("10.00", "40.00", "32-true")
    ratios = dict(zip(ratio_header, ratio, strict=True))
    expected = {
        "plain / template": "4.00",
        "careful / template": "2.00",
        "best / fast": "3.00",
        "template / floor": "2.00",
    }
    assert {name: ratios[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("precision", "expected"),
    [
        ("32-true", "plain / template ≥ 1.3: yes, careful / template ≥ 1: no"),
        ("bf16-mixed", "plain / template ≥ 2.6: no, careful / template ≥ 1.8: no, best / template ≥ 0.9: yes"),
    ],
)
def test_end_to_end_is_judged_by_what_the_hardware_can(precision: str, expected: str) -> None:
    seconds = {"template": [1.0], "fast": [0.5], "plain": [1.4], "careful": [0.9], "best": [0.95], "floor": [0.5]}
    for model, device, text in (("tinyvgg", "cpu", expected), ("vgg", "cpu", ""), ("tinyvgg", "cuda", "")):
        cell = rows(seconds, model=model, device=device, precision=precision)
        assert end_to_end.as_markdown(cell).strip().splitlines()[-1].endswith(f" | {text} |")


def test_the_pipeline_is_compared_with_the_faster_of_the_others() -> None:
    seconds = {"per sample, 0 workers": [30.0, 50.0], "per sample, 2 workers": [60.0, 40.0], "ours": [1.0, 1.0]}
    cell = rows(seconds, augment="none")
    assert pipeline.ratio(cell).tolist() == [30.0, 40.0]
    assert lines(pipeline.as_markdown(cell))[1][-2:] == ["35.0 (30.0–40.0)", "≥ 30: yes"]
    assert "≥" not in pipeline.as_markdown(cell.assign(augment="shift"))


def test_a_network_is_good_enough_when_it_first_is() -> None:
    runs = pd.DataFrame({"seconds": [1.0, 2.0, 3.0, 4.0], "accuracy": [0.9, 0.98, 0.97, 0.99]})
    assert batch_size.first_reached(runs) == 2.0
    assert batch_size.first_reached(runs, 0.995) is None


def test_a_run_that_never_is_good_enough_is_told_so() -> None:
    runs = rows({"template": [1.0]}, kind="time to accuracy", accuracy=0.9799, lr=0.02, batch_size=512, model="tinyvgg")
    assert lines(batch_size.as_markdown(runs))[1] == ["512", "0.02", "not reached", "1.0", "97.99%"]
    assert batch_size.draw(runs).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("ratios", "winner"),
    [((2, 3, 4), "32"), ((0.5, 2, 4), "64"), ((2, 0.5, 4), "128"), ((2, 3, 1.0), None), ((0.1, 0.2, 0.3), None)],
)
def test_a_device_wins_from_where_it_never_loses_again(ratios: tuple[float, ...], winner: str | None) -> None:
    assert batch_size.wins_from(dict(zip(("32", "64", "128"), ratios, strict=True))) == winner


def test_with_a_gpu_the_table_says_from_which_size_on_it_wins() -> None:
    measured = []
    for device, seconds in (("cuda", {10: 4.0, 64: 1.0, 256: 1.0}), ("cpu", {10: 1.0, 64: 2.0, 256: 9.0})):
        measured += [
            rows(
                {"template": [value]}, kind="model size", device=device, model=f"tinyvgg, {width} units", batch_size=512
            )
            for width, value in seconds.items()
        ]
    text = batch_size.as_markdown(pd.concat(measured))
    assert "batch size 512: cuda is faster than the CPU from model tinyvgg, 64 units on." in text
    assert [line[-1] for line in lines(text)] == ["cuda / cpu", "0.2", "2.0", "9.0"]
    assert batch_size.draw(pd.concat(measured)).startswith(b"\x89PNG")


def test_a_recipe_is_judged_by_its_mean_accuracy_over_the_seeds() -> None:
    runs = pd.concat(
        [
            rows({"template": [20.0]}, accuracy_aim=99, accuracy=value, train_seconds=10.0).assign(seed=seed)
            for seed, value in enumerate((0.989, 0.9916))
        ]
    )
    header, line = lines(time_to_accuracy.as_markdown(runs))
    told = dict(zip(header, line, strict=True))
    judged = "mean ≥ 99 %: yes, process ≤ 15 s: no, training ≤ 6 s: no"
    assert (told["seeds"], told["test %"], told["aim"]) == ("2", "99.03 ± 0.18", judged)
    assert time_to_accuracy.draw(runs).startswith(b"\x89PNG")


def test_what_a_config_imports_are_the_modules_of_its_classes() -> None:
    config = OmegaConf.create(
        {"a": {"_target_": "x.y.Z", "b": {"_target_": "u.V"}}, "c": [{"_target_": "t.W"}], "d": 1}
    )
    assert list(imports.modules_of(config)) == ["x.y", "u", "t"]
    cold = rows({imports.LIBRARIES: [4.0, 5.0], imports.OURS: [4.2, 5.4]}, steps=1)
    assert lines(imports.as_markdown(cold))[1][-2:] == ["0.30 (0.20–0.40)", "≤ 0.3 s: no"]


def test_the_gpu_table_says_of_each_aim_whether_it_was_reached() -> None:
    loops = {"bare": [1.0], "template": [1.2], "fast": [1.1], "plain": [30.0]}
    measured = [
        rows(loops, kind="step", batch_size=512),
        rows(loops, kind="step", batch_size=32),
        rows({"per sample, 0 workers": [9.0], "ours": [1.0]}, kind="pipeline", batch_size=32),
        rows({"template": [0.9], "fast": [1.1]}, kind="warm", accuracy=0.9905),
        rows({"template": [1.0]}, kind="model size", device="cuda", model="tinyvgg, 10 units"),
        rows({"template": [3.0]}, kind="model size", device="cpu", model="tinyvgg, 10 units"),
    ]
    told = {line[0]: line[1:] for line in lines(gpu.as_markdown(pd.concat(measured)))}
    assert told["template / bare, batch 512"] == ["≤ 1.3", "1.20", "yes"]
    assert told["fast / bare, batch 512"] == ["≤ 1", "1.10", "no"]
    assert told["template, × faster than plain, batch 512"] == ["≥ 20", "25.0", "yes"]
    assert told["fast, × faster than plain, batch 512"] == ["–", "27.3", "–"]
    assert told["fast, × faster than plain, batch 32"] == ["≥ 8", "27.3", "yes"]
    assert told["reading, × faster than sample by sample, batch 32"] == ["≥ 30", "9.0", "no"]
    assert told["GPU, × faster than CPU, tinyvgg, 10 units, batch 32"] == ["–", "3.0", "–"]
    assert told["experiment=fast99, warm, training, s"] == ["≤ 1 s", "0.90", "yes"]
    assert told["experiment=fast99 trainer=fast, warm, training, s"] == ["≤ 1 s", "1.10", "no"]
    assert told["experiment=fast99, warm, test %"] == ["≥ 99 %", "99.05", "yes"]


def test_the_number_of_threads_with_the_most_images_a_second_is_named() -> None:
    assert [threads.numbers_of_threads(cores) for cores in (1, 2, 12, 16)] == [
        [1],
        [1, 2],
        [1, 2, 4, 8, 12],
        [1, 2, 4, 8, 16],
    ]
    measured = [
        rows({name: [seconds]}, model="tinyvgg", threads=number)
        for name, number, seconds in (("1 thread", 1, 1.0), ("2 threads", 2, 0.5), ("12 threads", 12, 2.0))
    ]
    header, line = lines(threads.as_markdown(pd.concat(measured)))
    assert header[3:] == ["1 thread", "2 threads", "12 threads", "fastest"]
    assert line == ["tinyvgg", "32", "32-true", "320", "640", "160", "2 threads"]
