"""The loops do the same work: the same images, so many steps, the config's own settings."""

from itertools import islice
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from sounds import fill
from torch.optim.optimizer import register_optimizer_step_post_hook

from cnnlab.data.loading.normalisation import Normalise
from cnnlab.errors import UserError
from cnnlab.speed import hardware
from cnnlab.workbench.benchmark import dimensions, loops, training_runs, variants
from cnnlab.workbench.benchmark.bench import Bench
from cnnlab.workbench.benchmark.hand_written_samples import HandWrittenSamples, counterpart
from cnnlab.workbench.benchmark.measuring import Settings
from cnnlab.workbench.benchmark.pipeline import ours, per_sample
from cnnlab.workbench.benchmark.recorded_samples import RecordedSamples

SMALL = ["model=linear", "data.train_size=320", "data.batch_size=16", "trainer.accelerator=cpu"]


@pytest.fixture
def bench(without_data: None) -> Bench:
    return Bench(SMALL)


@pytest.mark.filterwarnings("ignore:.*LeafSpec", "ignore:.*torch.jit.trace")
def test_every_loop_runs_so_many_steps(bench: Bench) -> None:
    counts: list[int] = []

    def count(*given: object) -> None:
        counts[-1] += 1

    hook = register_optimizer_step_post_hook(count)
    try:
        for name in ("plain", "careful", "best", "floor", "bare", "barebones"):
            counts.append(0)
            assert getattr(loops, name)(bench, 3) > 0
        counts.append(0)
        assert training_runs.template(bench, 3) > 0
    finally:
        hook.remove()
    assert counts == [3] * 6 + [6]  # as many steps warm train.py's own training up


def test_samples_one_by_one_are_the_pixels_that_batches_hold(bench: Bench) -> None:
    samples = HandWrittenSamples(bench.data, bench.config.augment)
    inputs, labels = bench.data.training.inputs[:9], bench.data.training.labels[:9]
    expected = (inputs / 255 - bench.data.mean[0]) / bench.data.std[0]
    for number in range(9):
        sample, label = samples[number]
        torch.testing.assert_close(sample, expected[number])
        assert label == labels[number]


@pytest.mark.parametrize("name", dimensions.DATA)
def test_sequences_and_volumes_one_by_one_are_normalised_as_batches_are(name: str, tmp_path: Path) -> None:
    bench = Bench(["model=linear", *dimensions.made(name, tmp_path, num_samples=64)])
    data = bench.data
    samples = HandWrittenSamples(data, bench.config.augment)
    inputs = data.training.inputs[:9]
    normalise = Normalise(data.mean, data.std, data.scale, inputs.dim() - 2, bench.device)
    torch.testing.assert_close(torch.stack([samples[i][0] for i in range(9)]), normalise(inputs), atol=1e-5, rtol=1e-5)


def test_only_images_are_augmented_one_by_one(tmp_path: Path) -> None:
    bench = Bench(["model=linear", "augment=shift", *dimensions.made("1-D 40", tmp_path, num_samples=64)])
    with pytest.raises(UserError, match="augments only images here; leave out augment="):
        HandWrittenSamples(bench.data, bench.config.augment)


def test_a_careful_hand_sees_every_sample_once_in_another_order_each_time(bench: Bench) -> None:
    def sums() -> list[float]:
        return [round(float(sample.sum()), 3) for inputs, _ in loops.gathered(bench) for sample in inputs]

    first, second = sums(), sums()
    assert len(first) == 320
    assert first != second
    assert sorted(first) == sorted(second)
    batches = [sample for inputs, _ in bench.batches() for sample in inputs]
    torch.testing.assert_close(sorted(first), sorted(round(float(it.sum()), 3) for it in batches), atol=0.01, rtol=0)


def test_the_weights_are_those_of_the_seed_and_the_layout_the_loops(without_data: None) -> None:
    bench = Bench([*SMALL, "model=tinyvgg"])
    one, other = bench.model(channels_last=False), bench.model(channels_last=True)
    pairs = list(zip(one.parameters(), other.parameters(), strict=True))
    assert all(torch.equal(first, second) for first, second in pairs)
    kernels = [pair for pair in pairs if pair[0].dim() == 4 and pair[0].shape[1] > 1]
    assert all(first.is_contiguous() and not second.is_contiguous() for first, second in kernels)
    assert not torch.equal(
        next(iter(one.parameters())), next(Bench([*SMALL, "model=tinyvgg", "seed=1"]).model().parameters())
    )


def test_benches_of_other_batch_sizes_share_the_data_and_not_the_size(without_data: None) -> None:
    small, large = Bench(SMALL), Bench([*SMALL, "data.batch_size=64"])
    assert small.data.training is large.data.training
    assert [next(iter(bench.batches()))[0].shape[0] for bench in (small, large)] == [16, 64]
    assert (small.steps_per_epoch, large.steps_per_epoch) == (20, 5)
    with pytest.raises(UserError, match="batch_size must be at most 320"):
        Bench([*SMALL, "data.batch_size=321"])


def test_augmentations_have_counterparts(bench: Bench) -> None:
    shift = OmegaConf.create({"_target_": "cnnlab.data.augment.Shift", "max_pixels": 2})
    affine = {"_target_": "cnnlab.data.augment.Affine", "degrees": 10, "scale": 0.1, "translate": 0.07}
    (crop,) = counterpart(shift, (28, 28))
    (turn,) = counterpart(OmegaConf.create(affine), (28, 28))
    assert (crop.size, crop.padding) == ((28, 28), 2)
    assert (turn.degrees, turn.translate, turn.scale) == ([-10.0, 10.0], (0.07, 0.07), (0.9, 1.1))
    assert counterpart(bench.config.augment, (28, 28)) == []
    for augment in (shift, OmegaConf.create(affine)):
        assert HandWrittenSamples(bench.data, augment)[0][0].shape == (1, 28, 28)


def test_reading_is_timed_both_ways(bench: Bench) -> None:
    assert per_sample(bench, 0, 3) > 0
    assert ours(bench, bench.steps_per_epoch) > 0
    assert len(list(islice(bench.batches(), 100))) == bench.steps_per_epoch


def test_each_variant_has_its_loop_whatever_trainer_was_asked_for(
    without_data: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed: dict[object, str] = {}

    def template(bench: Bench, steps: int) -> float:
        timed[bench.config.trainer.fast_loop] = bench.config.trainer.accelerator
        return 1.0

    monkeypatch.setattr(training_runs, "template", template)
    settings = Settings(overrides=("trainer=cpu", *SMALL[:-1]), smoke=True)
    rows = variants.measure(settings, "cpu", ["template", "lightning", "fast", "best"], ["data.batch_size=32"])
    assert timed == {"auto": "cpu", False: "cpu", True: "cpu"}
    assert [row["images"] for row in rows] == [64, 64, 64, 64]
    assert {row["precision"] for row in rows} == {hardware.resolve_precision("auto", "cpu")}


def test_a_wrong_override_is_told_in_one_line() -> None:
    with pytest.raises(UserError, match="unknown model 'tinyvg'.*did you mean tinyvgg"):
        Bench(["model=tinyvg"])


def test_recordings_read_one_by_one_are_those_that_batches_hold(tmp_path: Path) -> None:
    fill(tmp_path / "tones", {"low": 300.0, "high": 1500.0}, 10)
    settings = ["data=audio_folder", f"data.root={tmp_path / 'tones'}", "data.features=log_mel", "data.batch_size=4"]
    bench = Bench(["model=linear", "trainer.accelerator=cpu", *settings])
    samples = RecordedSamples(bench.data)  # type: ignore[arg-type]
    expected = (bench.data.training.inputs - bench.data.mean[0]) / bench.data.std[0]  # type: ignore[union-attr]
    assert len(samples) == len(expected)
    for number in range(5):
        sample, label = samples[number]
        torch.testing.assert_close(sample, expected[number], atol=1e-2, rtol=0)  # files have 16 bits
        assert label == bench.data.training.labels[number]
    assert loops.plain(bench, 2) > 0
