"""TextCNN: what test_zoo.py tests of networks for values, for the one that reads texts; and Kim's own properties."""

from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from cnnlab.building import build_model
from cnnlab.errors import UserError
from cnnlab.models.textcnn import TextCNN
from conftest import PROJECT

DECISIVE = {0: 7, 1: 8}  # the number of the word that makes a text one of a class


def build(shape: tuple[int, ...] = (1, 12), num_classes: int = 2, **changes: Any) -> nn.Module:
    torch.manual_seed(0)
    config = OmegaConf.merge(OmegaConf.load(PROJECT / "conf/model/textcnn.yaml"), changes)
    network: nn.Module = instantiate(config, input_shape=shape, num_classes=num_classes, vocabulary_size=50)
    return network


def texts(num_texts: int, seed: int) -> tuple[Tensor, Tensor]:
    """Random words with a decisive one somewhere in between, then padding."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(2, (num_texts,), generator=generator)
    words = torch.randint(10, 50, (num_texts, 1, 12), generator=generator)
    places = torch.randint(8, (num_texts,), generator=generator)
    words[torch.arange(num_texts), 0, places] = torch.tensor([DECISIVE[label] for label in labels.tolist()])
    words[:, :, 9:] = 0
    return words.float(), labels


def test_texts_become_logits_and_the_same_seed_gives_the_same_network() -> None:
    with torch.device("meta"):
        assert build((1, 30), 5)(torch.empty(2, 1, 30)).shape == (2, 5)
    first, second = build(), build()
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_learns_with_every_parameter_and_padding_stays_zero() -> None:
    network = build(embedding_size=16, num_filters=8)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    for step in range(60):
        inputs, labels = texts(64, seed=step)
        optimizer.zero_grad()
        cross_entropy(network(inputs), labels).backward()
        optimizer.step()
    assert not [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    assert not network.get_parameter("embedding.weight")[0].any()
    network.eval()
    inputs, labels = texts(200, seed=1_000)
    assert (network(inputs).argmax(1) == labels).float().mean() > 0.95


def test_equals_torchs_layers_by_hand() -> None:
    network = build(embedding_size=6, num_filters=4, kernel_sizes=[2, 3]).eval()
    inputs, _ = texts(5, seed=0)
    weights = dict(network.named_parameters())
    vectors = nn.functional.embedding(inputs[:, 0].long(), weights["embedding.weight"]).transpose(1, 2)
    maxima = []
    for number, kernel_size in enumerate((2, 3)):
        weight, bias = (weights[f"features.{number}.0.0.{name}"] for name in ("weight", "bias"))
        maxima.append(nn.functional.conv1d(vectors, weight, bias, padding=kernel_size - 1).relu().amax(2))
    logits = nn.functional.linear(torch.cat(maxima, 1), weights["classifier.2.weight"], weights["classifier.2.bias"])
    torch.testing.assert_close(network(inputs), logits)


def test_a_text_means_the_same_wherever_it_begins() -> None:
    network = build(kernel_sizes=[1, 2]).eval()
    text = torch.tensor([[[5.0, 6, 7] + [0] * 9]])
    torch.testing.assert_close(network(text), network(text.roll(3, dims=2)))


@pytest.mark.parametrize(
    ("changes", "shape", "message"),
    [
        ({}, (1, 4), "kernel_sizes must be at most 4, the words of a text, got 5"),
        ({"kernel_sizes": []}, (1, 12), "number of kernel_sizes must be at least 1, got 0"),
        ({"kernel_sizes": [0]}, (1, 12), "kernel_sizes must be at least 1, got 0"),
        ({"embedding_size": 0}, (1, 12), "embedding_size must be at least 1, got 0"),
        ({"num_filters": 0}, (1, 12), "num_filters must be at least 1, got 0"),
        ({"dropout": 1.0}, (1, 12), "dropout must be at least 0 and less than 1, got 1.0"),
        ({}, (1, 28, 28), r"TextCNN takes texts as numbers of words \(1, length\), got data of shape \(1, 28, 28\)"),
    ],
)
def test_what_cannot_be_built_is_refused_by_name(changes: dict[str, Any], shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TextCNN(shape, 2, 50, **changes)


@pytest.mark.parametrize(
    ("model", "vocabulary", "precision", "message"),
    [
        (
            "linear",
            ["<padding>", "<unknown>", "a"],
            "32-true",
            "Linear computes with values, but the data are texts; the model textcnn",
        ),
        (
            "textcnn",
            None,
            "32-true",
            "TextCNN reads texts, but the data are none; rt_polarity and text_csv are",
        ),
        (
            "textcnn",
            ["<padding>", "<unknown>", "a"],
            "bf16-true",
            "trainer.precision=bf16-true would round the numbers",
        ),
        ("textcnn", ["<padding>", "<unknown>", "a"], "16-true", "trainer.precision=16-true would round the numbers"),
    ],
)
def test_texts_and_networks_must_fit(model: str, vocabulary: list[str] | None, precision: str, message: str) -> None:
    trainer = {"channels_last": False, "precision": precision}
    config = DictConfig({"model": OmegaConf.load(PROJECT / f"conf/model/{model}.yaml"), "trainer": trainer})
    with pytest.raises(UserError, match=message):
        build_model(config, (1, 12), 2, vocabulary)
