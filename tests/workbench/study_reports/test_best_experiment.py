"""The recipe of the best trial composes with the project's own conf/ to the config that the trial had."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from sweep_maker import SweepMaker

from cnnlab.errors import UserError
from cnnlab.workbench.study_reports.best_experiment import experiment_name, trial_experiment
from cnnlab.workbench.study_reports.sweep_folder import read
from cnnlab.workbench.study_reports.trial_commands import commands
from conftest import PROJECT


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """A copy of conf/ with a group that is in no defaults list, as a sweep over learning-rate rules has one."""
    conf = tmp_path / "conf"
    shutil.copytree(PROJECT / "conf", conf)
    (conf / "learning_rate").mkdir(exist_ok=True)
    (conf / "learning_rate/scaled.yaml").write_text("# @package _global_\nnote_of_rule: scaled\n")
    return conf


def composed(conf: Path, overrides: list[str]) -> Any:
    with initialize_config_dir(str(conf), version_base="1.3"):
        return compose("train", overrides=overrides, return_hydra_config=True)


def trial(
    conf: Path,
    folder: Path,
    overrides: list[str],
    given: list[str] | None = None,
    params: dict[str, float] | None = None,
    **extra: Any,
) -> str:
    """Text of the recipe of a trial that ran with these overrides; `given` is what the study knows of them."""
    config = composed(conf, overrides)
    hydra_dir = folder / "0/.hydra"
    hydra_dir.mkdir(parents=True)
    OmegaConf.save(
        OmegaConf.create({"hydra": {"runtime": {"choices": config.hydra.runtime.choices}}}), hydra_dir / "hydra.yaml"
    )
    (hydra_dir / "config.yaml").write_text(OmegaConf.to_yaml(without_hydra(config)))
    (hydra_dir / "overrides.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(overrides)))
    maker = SweepMaker(folder, name="a study/1")
    params = params or {"optimizer.lr": 0.001}
    maker.trial(params, 0.9876, overrides=overrides if given is None else given or None)
    sweep = read(maker.finish(**{"retrain": "", **extra}))
    return trial_experiment(sweep, sweep.trials[0], experiment_name(sweep))


def without_hydra(config: Any) -> Any:
    content = OmegaConf.to_container(config)
    assert isinstance(content, dict)
    del content["hydra"]
    return OmegaConf.create(content)


def with_recipe(conf: Path, text: str, *more: str) -> Any:
    (conf / "experiment/best.yaml").write_text(text)
    return without_hydra(composed(conf, ["experiment=best", *more]))


CHOSEN = [
    "model=linear",
    "optimizer=sgd",
    "scheduler=none",
    "data.batch_size=64",
    "optimizer.lr=1e-3",
    "+model.widths=[8,16]",
    "++trainer.gradient_clip_val=0.5",
    "+nested.new.key='007'",
    "+flag=true",
    "+nothing=null",
    "data.train_size=null",
    "++classifier.label_smoothing=0.1",
    "+optimizer.of_monitor='${monitor}'",
    "seed=3",
]
SEARCH = [
    "test=false",
    "trainer.num_threads=1",
    "data.root=/somewhere",
    "resume=null",
    "++hydra.job.num=3",
    "++init_from=x",
]


def test_the_same_config_less_the_settings_of_the_search(conf: Path, tmp_path: Path) -> None:
    text = trial(conf, tmp_path / "s", [*CHOSEN, *SEARCH])
    assert text.startswith("# @package _global_\n# Trial 0 of the study a study/1: val/accuracy 98.76%.\n")
    assert "python train.py experiment=a_study_1_best\n" in text
    assert with_recipe(conf, text) == without_hydra(composed(conf, CHOSEN))
    for word in ("test", "num_threads", "root", "resume", "hydra", "init_from"):
        assert f"{word}:" not in text


def test_folds_that_were_searched_over_are_no_choice(conf: Path, tmp_path: Path) -> None:
    overrides = ["data.num_folds=5", "data.fold=3"]
    chosen = trial(conf, tmp_path / "chosen", overrides)
    assert "fold: 3" in chosen, "given for all trials"
    searched = trial(conf, tmp_path / "searched", overrides, params={"data.fold": 3})
    assert "fold: 3" not in searched
    assert "num_folds: 5" in searched


def test_a_seed_that_was_searched_over_is_no_choice(conf: Path, tmp_path: Path) -> None:
    assert "seed: 4" not in trial(conf, tmp_path / "searched", ["seed=4"], params={"seed": 4})


def test_a_full_training_after_folds_uses_the_datas_own_split(tmp_path: Path) -> None:
    maker = SweepMaker(tmp_path)
    maker.trial({"data.fold": 3, "optimizer.lr": 0.1}, 0.5)
    sweep = read(maker.finish())
    found = commands(sweep, sweep.trials[0])
    assert found["reproduce"] == "python train.py data.fold=3 optimizer.lr=0.1"
    assert found["retrain"] == "python train.py optimizer.lr=0.1 test=true"


def test_a_group_outside_the_defaults_is_added(conf: Path, tmp_path: Path) -> None:
    overrides = ["+learning_rate=scaled", "optimizer.lr=0.02"]
    text = trial(conf, tmp_path / "s", overrides)
    assert "\n  - /learning_rate: scaled\n" in text
    assert with_recipe(conf, text) == without_hydra(composed(conf, overrides))


def test_several_choices_of_one_group(conf: Path, tmp_path: Path) -> None:
    overrides = ["logger=[tensorboard,csv]", "model=linear"]
    text = trial(conf, tmp_path / "s", overrides)
    assert "\n  - override /logger: [tensorboard, csv]\n" in text
    assert with_recipe(conf, text) == without_hydra(composed(conf, overrides))


def test_a_recipe_may_build_on_another(conf: Path, tmp_path: Path) -> None:
    overrides = ["experiment=tinyvgg_mnist", "scheduler=cosine", "model.hidden_units=32"]
    text = trial(conf, tmp_path / "s", overrides)
    assert with_recipe(conf, text) == without_hydra(composed(conf, overrides))


def test_a_deletion_is_a_comment_and_part_of_the_command(conf: Path, tmp_path: Path) -> None:
    overrides = ["~scheduler", "~trainer.precision", "model=linear"]
    text = trial(conf, tmp_path / "s", overrides)
    assert "experiment=a_study_1_best '~scheduler' '~trainer.precision'" in text
    assert text.count("# Cannot be written here") == 2
    assert with_recipe(conf, text, "~scheduler", "~trainer.precision") == without_hydra(composed(conf, overrides))


def test_what_the_sweep_file_fixed_is_taken_from_the_command_that_reproduces(conf: Path, tmp_path: Path) -> None:
    ran = ["model=linear", "data.train_size=500", "optimizer.lr=0.01", "test=false"]
    command = "python train.py model=linear data.train_size=500 'optimizer.lr=0.01' test=false hydra.run.dir=x"
    text = trial(conf, tmp_path / "s", ran, given=["sweep=mine", "optimizer.lr=0.01"], reproduce=command)
    assert with_recipe(conf, text) == without_hydra(composed(conf, ran[:3]))


def test_limits_of_the_search_are_as_in_the_retraining(conf: Path, tmp_path: Path) -> None:
    ran = ["model=linear", "data.train_size=500", "trainer.max_epochs=2", "trainer=cpu", "seed=4"]
    retrain = "python train.py model=linear seed=4 '+model.hidden_units=[7, 8]' test=true trainer=auto"
    retrain += " trainer.max_epochs=9 data.train_size=null"
    text = trial(conf, tmp_path / "s", ran, retrain=retrain)
    assert (
        "# As for retraining, unlike in the search: model.hidden_units, trainer, trainer.max_epochs, data.train_size.\n"
        in text
    )
    assert with_recipe(conf, text) == without_hydra(
        composed(conf, ["model=linear", "seed=4", "trainer.max_epochs=9", "+model.hidden_units=[7,8]"])
    )


def test_without_attributes_the_run_folder_tells(conf: Path, tmp_path: Path) -> None:
    text = trial(conf, tmp_path / "s", ["model=linear"], given=[], reproduce="")
    assert "  - override /model: linear\n" in text


def test_a_deleted_run_folder_is_told(tmp_path: Path) -> None:
    maker = SweepMaker(tmp_path)
    maker.trial({"seed": 1}, 0.5)
    sweep = read(maker.finish())
    with pytest.raises(UserError, match="config.yaml is gone"):
        trial_experiment(sweep, sweep.trials[0], experiment_name(sweep))


def test_the_name_is_a_word_and_a_file(tmp_path: Path) -> None:
    SweepMaker(tmp_path, name="../a b=c")
    assert experiment_name(read(tmp_path)) == "_a_b_c_best"
