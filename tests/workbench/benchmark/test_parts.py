"""The tables and figures that each part makes of its measurements."""

import pandas as pd
import pytest
from omegaconf import OmegaConf

from cnnlab.workbench.benchmark import (
    batch_size,
    batch_size_time,
    dimensions,
    end_to_end,
    gpu,
    imports,
    loops_to_accuracy,
    overhead,
    pipeline,
    threads,
    time_to_accuracy,
)
from cnnlab.workbench.benchmark.measuring import Settings


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
    seconds = {"bare": [0.01, 0.02], "barebones": [0.012, 0.022]}
    seconds |= {"lightning": [0.014, 0.0232], "template": [0.0116, 0.0216]}
    small = rows(seconds, model="linear", batch_size=32)
    large = rows(
        {name: [100 * it for it in values] for name, values in seconds.items()}, model="tinyvgg", batch_size=128
    )
    _, linear, tinyvgg = lines(overhead.as_markdown(pd.concat([small, large])))
    assert linear[3:7] == ["1,500 (1,000–2,000)", "200 (200–200)", "360 (320–400)", "160 (160–160)"]
    assert linear[8:] == ["lightning ≤ 400 µs: yes, template ≤ 150 µs: no"]
    assert tinyvgg[7:] == ["12.0 (8.0–16.0)", "template ≤ 5 %: no"]


def test_dimensions_tell_seconds_of_an_epoch_and_the_ratio_to_the_loop_by_hand() -> None:
    seconds = {"template": [1.0, 1.0], "fast": [0.5, 0.5], "plain": [1.4, 1.6]}
    header, line = lines(dimensions.as_markdown(rows(seconds, model="mlp", data="3-D")))
    told = dict(zip(header, line, strict=True))
    assert told["data"] == "3-D"
    assert (told["template"], told["plain / template"]) == ("10.00 (10.00–10.00)", "1.50 (1.40–1.60)")
    assert told["aim"] == "plain / template ≥ 1.5: yes"
    assert dimensions.draw(rows(seconds, model="mlp", data="3-D")).startswith(b"\x89PNG")


def test_end_to_end_tells_seconds_of_an_epoch_and_how_many_times_faster() -> None:
    seconds = {"template": [1.0], "lightning": [2.0], "plain": [4.0], "careful": [2.0], "best": [1.5], "floor": [0.5]}
    header, epoch, ratio_header, ratio = lines(end_to_end.as_markdown(rows(seconds, model="vgg", batch_size=32)))
    told = dict(zip(header, epoch, strict=True))
    assert (told["template"], told["plain"], told["best in"]) == ("10.00", "40.00", "32-true")
    ratios = dict(zip(ratio_header, ratio, strict=True))
    expected = {
        "plain / template": "4.00",
        "careful / template": "2.00",
        "best / lightning": "0.75",
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
    seconds = {"template": [1.0], "lightning": [2.0], "plain": [1.4], "careful": [0.9], "best": [0.95], "floor": [0.5]}
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
    assert batch_size_time.first_reached(runs) == 2.0
    assert batch_size_time.first_reached(runs, 0.995) is None


def test_a_run_that_never_is_good_enough_is_told_so() -> None:
    runs = [
        rows({"template": [seconds]}, accuracy=accuracy, seed=seed, lr=0.02, batch_size=512, model="tinyvgg")
        for seed, (seconds, accuracy) in enumerate([(1.0, 0.9799), (3.0, 0.9859), (2.0, 0.9799)])
    ]
    assert lines(batch_size_time.as_markdown(runs[0]))[1] == ["512", "0.02", "1", "not reached", "1.0", "97.99"]
    all_seeds = lines(batch_size_time.as_markdown(pd.concat(runs)))[1]
    assert all_seeds == ["512", "0.02", "3", "3.0 (1 of 3)", "2.0 ± 1.0", "98.19 ± 0.35"]
    assert batch_size_time.draw(runs[0]).startswith(b"\x89PNG")
    assert batch_size_time.draw(pd.concat(runs)).startswith(b"\x89PNG")


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
    judged = "mean ≥ 99 %: yes, process ≤ 15 s: no, training ≤ 3 s: no"
    assert (told["seeds"], told["test %"], told["aim"]) == ("2", "99.03 ± 0.18", judged)
    assert time_to_accuracy.draw(runs).startswith(b"\x89PNG")


def test_what_a_config_imports_are_the_modules_of_its_classes() -> None:
    config = OmegaConf.create(
        {"a": {"_target_": "x.y.Z", "b": {"_target_": "u.V"}}, "c": [{"_target_": "t.W"}], "d": 1}
    )
    assert list(imports.modules_of(config)) == ["x.y", "u", "t"]


def test_commands_are_compared_with_the_bare_import_of_the_same_turn() -> None:
    seconds = {imports.LIBRARIES: [4.0, 5.0], imports.SMOKE_RUN: [3.0, 5.5], "evaluate.py": [6.0, 6.0]}
    measured = rows(seconds, steps=1, first_seconds=0.4, process="new")
    measured["cpu_seconds"] = measured["seconds"] / 2
    _, bare, smoke_run, evaluate = lines(imports.as_markdown(measured))
    assert bare[1:] == ["4.50 (4.00–5.00)", "2.25 (2.00–2.50)", *["1.00 (1.00–1.00)"] * 2, "0.40 (0.40–0.40)", ""]
    assert smoke_run[3] == "0.93 (0.75–1.10)"
    assert smoke_run[-1] == "times ≤ 1: yes, first word ≤ 1 s: yes"
    assert evaluate[-1] == "times ≤ 1: no, first word ≤ 1 s: yes"
    assert imports.draw(measured).startswith(b"\x89PNG")


def test_on_a_gpu_the_most_valuable_cell_of_every_kind_comes_before_the_second_best_of_any() -> None:
    planned = [dict(cell.keys) for cell in gpu.cells(Settings(devices=("cuda", "cpu")))]
    kinds = ["step", "warm", "search", "precision", "data", "compile", "model size", "memory"]
    assert list(dict.fromkeys(keys["kind"] for keys in planned)) == kinds
    first = planned[: next(number for number, keys in enumerate(planned) if keys["kind"] == "memory")]
    assert [keys["batch_size"] for keys in first if keys["kind"] == "step"] == [32, 512]
    assert [keys["at_once"] for keys in first if keys["kind"] == "search"] == [1, 8]
    assert [keys["device"] for keys in first if keys["kind"] == "model size"] == ["cuda", "cpu"] * 4
    names = [cell.name for cell in gpu.cells(Settings(devices=("cuda", "cpu")))]
    assert len(names) == len(set(names))


def test_the_gpu_tables_judge_the_aims() -> None:
    loops = {"bare": [1.0], "template": [1.05], "lightning": [1.5], "fast": [0.6]}
    by_hand = {"plain": [15.0], "careful": [1.5], "best": [0.9]}
    measured = [
        rows(loops | by_hand, kind="step", model="tinyvgg", batch_size=512),
        rows(loops, kind="step", model="linear", batch_size=32),
        rows({"template": [0.4], "fast": [0.6]}, kind="warm", accuracy=0.9905),
    ]
    text = gpu.as_markdown(pd.concat(measured))
    header, linear, tinyvgg = lines(text)[3:6]
    assert linear[5:8] == ["–", "–", "–"]
    told = dict(zip(header, tinyvgg, strict=True))
    assert (told["default / bare"], told["fast / bare"], told["plain / fast"]) == ("1.05", "0.60", "25.00")
    assert told["aim"] == "default / bare ≤ 1.1: yes, fast / bare ≤ 0.5: no, plain / fast ≥ 20: yes"
    assert [line[-1] for line in lines(text)[-2:]] == [
        "training ≤ 0.5 s: yes, mean ≥ 99 %: yes",
        "training ≤ 0.5 s: no, mean ≥ 99 %: yes",
    ]
    assert gpu.draw(pd.concat(measured)).startswith(b"\x89PNG")


def test_the_gpu_tables_tell_what_choices_cost_and_bring() -> None:
    data = {"on the GPU (default)": [1.0], "copied from the CPU (data.device=cpu)": [1.5]}
    ways = {"train.py, not compiled": (0.02, 0.01), "trainer.compile=true": (30.01, 0.005)}
    at_once = {1: 30.0, 8: 6.0}
    measured = [
        rows(data, kind="data", model="tinyvgg, 10 units"),
        *(
            rows({way: [seconds]}, kind="compile", model="tinyvgg", warm_seconds=before, compiled=way[-4:] == "true")
            for way, (before, seconds) in ways.items()
        ),
        *(
            rows(
                {"search": [seconds]}, kind="search", at_once=number, memory=number * 2.0**29, utilisation=5.0 * number
            )
            for number, seconds in at_once.items()
        ),
        rows({"template": [0.0]}, kind="memory", command="python train.py", allocated=2.0**28, device_in_use=2.0**30),
    ]
    told = lines(gpu.as_markdown(pd.concat(measured)))
    assert told[2][-1] == "1.50"
    assert [line[2:] for line in told[4:6]] == [
        ["train.py, not compiled", "0.0", "1,000", "1.00"],
        ["trainer.compile=true", "30.0", "500", "0.50"],
    ]
    assert told[7:9] == [["1", "10", "1,200", "1.0", "512", "5"], ["8", "10", "6,000", "5.0", "4,096", "40"]]
    assert told[-1] == ["`python train.py`", "256", "1,024"]


def test_a_network_that_the_compiler_gave_up_is_not_told_as_compiled() -> None:
    seen = rows({"trainer.compile=true": [0.01]}, kind="compile", model="tinyvgg", warm_seconds=0.1, compiled=False)
    assert lines(gpu.as_markdown(seen))[1][2] == "trainer.compile=true (the compiler failed, so it ran as without)"


def test_the_number_of_threads_with_the_most_images_a_second_is_named() -> None:
    assert [threads.numbers_of_threads(cores) for cores in (1, 2, 12, 16)] == [
        [1],
        [1, 2],
        [1, 2, 4, 8, 12],
        [1, 2, 4, 8, 16],
    ]
    measured = [
        rows({name: [seconds]}, model="tinyvgg", layout="contiguous", threads=number)
        for name, number, seconds in (("1 thread", 1, 1.0), ("2 threads", 2, 0.5), ("12 threads", 12, 2.0))
    ]
    header, line = lines(threads.as_markdown(pd.concat(measured)))
    assert header[4:] == ["1 thread", "2 threads", "12 threads", "fastest"]
    assert line == ["tinyvgg", "32", "32-true", "contiguous", "320", "640", "160", "2 threads"]


def test_seconds_to_an_accuracy_are_those_of_the_first_validation_that_was_so_right() -> None:
    curves = {("plain", 0): [0.97, 0.981, 0.985], ("fast99", 0): [0.99], ("plain", 1): [0.98, 0.98, 0.98]}
    measured = [
        rows({variant: [10.0 * (number + 1)]}, seed=seed, accuracy=accuracy)
        for (variant, seed), accuracies in curves.items()
        for number, accuracy in enumerate(accuracies)
    ]
    text = loops_to_accuracy.as_markdown(pd.concat(measured))
    assert lines(text)[1:] == [
        ["plain", "2", "15.0 (10.0–20.0)", "–", "98.50%"],
        ["fast99", "1", "10.0", "10.0", "99.00%"],
    ]
    assert loops_to_accuracy.draw(pd.concat(measured)).startswith(b"\x89PNG")
    assert loops_to_accuracy.draw(pd.concat(measured[:1])).startswith(b"\x89PNG")
