"""What data are is compared by their descriptions."""

from typing import Any

import pytest

from cnnlab.data import agreement

MNIST: dict[str, Any] = {
    "dataset": "mnist",
    "input_shape": [1, 28, 28],
    "class_names": ["0", "1"],
    "shuffle_axis": "none",
    "seed": 0,
    "fold": None,
    "checksums": {"images": "ab"},
}
OF_MNIST = "all of mnist-5k, which is a part of mnist's training samples"
SHUFFLED = MNIST | {"dataset": "mnist-shuffled-pixels", "shuffle_axis": "pixels"}
SOUNDS = MNIST | {"audio": {"num_mels": 40}}


@pytest.mark.parametrize(
    ("theirs", "ours", "name"),
    [
        (MNIST, MNIST | {"seed": 1, "dataset": "other"}, None),
        (MNIST, MNIST | {"input_shape": (1, 28, 28)}, None),
        (MNIST, MNIST | {"input_shape": [3, 28, 28]}, "input_shape"),
        (MNIST, MNIST | {"class_names": ["1", "0"]}, "class_names"),
        (MNIST, SHUFFLED, "order"),
        (SHUFFLED, SHUFFLED | {"seed": 1}, "order"),
        (MNIST, MNIST | {"vocabulary": ["a"]}, "vocabulary"),
        (SOUNDS, SOUNDS | {"audio": {"num_mels": 80}}, "audio"),
        (SOUNDS, MNIST, None),
    ],
)
def test_difference(theirs: dict[str, Any], ours: dict[str, Any], name: str | None) -> None:
    assert agreement.difference(theirs, ours) == name
    assert agreement.difference(theirs, ours, ()) is None


def test_a_difference_in_words() -> None:
    words = agreement.in_words("order", MNIST, SHUFFLED)
    assert words == (
        "samples in the order data.shuffle_axis=none, but this training has data.shuffle_axis=pixels of seed 0"
    )
    assert agreement.in_words("vocabulary", MNIST, MNIST) == "other words"


@pytest.mark.parametrize(
    ("theirs", "ours", "seen"),
    [
        (MNIST, MNIST, None),
        (MNIST, MNIST | {"fold": "3 of 10"}, "samples of the validation split (fold 3 of 10)"),
        (MNIST | {"fold": "3 of 10"}, MNIST, "samples of the validation split (fold null)"),
        (MNIST | {"fold": "3 of 10"}, MNIST | {"fold": "3 of 10"}, None),
        (MNIST, MNIST | {"fold": "3 of 10", "checksums": {"images": "cd"}}, None),
        (MNIST, MNIST | {"dataset": "mnist-5k"}, OF_MNIST),
        (MNIST, MNIST | {"dataset": "mnist-5k-shuffled-rows"}, OF_MNIST),
        (MNIST | {"dataset": "emnist"}, MNIST | {"dataset": "mnist-5k"}, None),
    ],
)
def test_samples_that_were_learnt_and_are_evaluated(
    theirs: dict[str, Any], ours: dict[str, Any], seen: str | None
) -> None:
    assert agreement.learnt_from_evaluated(theirs, ours) == seen
