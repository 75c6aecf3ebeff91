"""Whether more or less is better follows from the name, as torchmetrics has it, and is asked for where it does not."""

import re

import pytest
import torchmetrics
from torchmetrics import Metric

from cnnlab.direction import direction, direction_in_name, direction_of_part
from cnnlab.errors import UserError


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *(("val/loss", "min"), ("train/loss_step", "min"), ("val/mse", "min"), ("val/error_rate", "min")),
        *(("val/accuracy", "max"), ("val/top5_Accuracy", "max"), ("val/f1-score", "max"), ("val/auroc", "max")),
        *(("train_seconds", "min"), ("images_per_second", "max"), ("num_parameters", "min")),
        *(("val/quality", None), ("val/lossy", None), ("val/accuracy_loss", None), ("weights/norm", None)),
    ],
)
def test_the_words_of_the_name_tell(name: str, expected: str | None) -> None:
    assert direction_in_name(name) == expected


def test_no_metric_of_torchmetrics_is_told_the_wrong_way() -> None:
    told = 0
    for name in torchmetrics.__all__:
        metric = getattr(torchmetrics, name)
        better = getattr(metric, "higher_is_better", None)
        if not isinstance(metric, type) or not issubclass(metric, Metric) or not isinstance(better, bool):
            continue
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
        assert direction_in_name(words) in (None, "max" if better else "min"), name
        told += direction_in_name(words) is not None
    assert told > 10


def test_what_is_given_counts_where_the_name_tells_nothing_and_may_not_contradict_it() -> None:
    assert direction("val/quality", "min") == "min"
    assert direction("val/quality", "max") == "max"
    assert direction("val/loss", "min") == direction("val/loss", None) == "min"
    with pytest.raises(UserError, match="^mode=max contradicts val/loss, the smaller the better; leave mode out$"):
        direction("val/loss", "max")
    with pytest.raises(
        UserError, match="^way=minimize contradicts val/accuracy, the larger the better; leave way out$"
    ):
        direction("val/accuracy", "min", "way", ("minimize", "maximize"))
    with pytest.raises(UserError, match="val/quality does not tell .* give mode=min or max"):
        direction("val/quality", None)


def test_a_part_follows_its_own_number_and_the_run_only_where_it_watches_the_same() -> None:
    assert direction_of_part("key", "val/loss", None, "val/accuracy", "max") == "min"
    assert direction_of_part("key", "val/quality", None, "val/quality", "min") == "min"
    with pytest.raises(UserError, match="give key=min or max"):
        direction_of_part("key", "val/speed", None, "val/quality", "min")
