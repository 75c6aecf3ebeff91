"""The classifier head infers its number of inputs from the features and the data."""

import pytest
import torch
from torch import nn

from cnnlab.blocks.head import flatten_and_classify


def test_inputs_of_the_first_layer_follow_from_the_features() -> None:
    features = nn.Sequential(nn.Conv2d(1, 10, 3, padding=1), nn.MaxPool2d(4))
    head = flatten_and_classify(features, (1, 28, 28), [], num_classes=10)
    assert [layer.in_features for layer in head if isinstance(layer, nn.Linear)] == [490]
    assert head(features(torch.zeros(2, 1, 28, 28))).shape == (2, 10)


def test_hidden_layers_have_activations_and_the_logits_have_none() -> None:
    head = flatten_and_classify(nn.Identity(), (12,), [8, 6], num_classes=3, act="gelu")
    assert [type(layer) for layer in head] == [nn.Flatten, nn.Linear, nn.GELU, nn.Linear, nn.GELU, nn.Linear]
    assert [layer.out_features for layer in head if isinstance(layer, nn.Linear)] == [8, 6, 3]


def test_dropout_stands_before_every_linear_layer_and_acts_in_training_only() -> None:
    head = flatten_and_classify(nn.Identity(), (12,), [8], num_classes=3, dropout=0.25)
    assert [type(layer).__name__ for layer in head] == ["Flatten", "Dropout", "Linear", "ReLU", "Dropout", "Linear"]
    assert {layer.p for layer in head if isinstance(layer, nn.Dropout)} == {0.25}
    inputs = torch.ones(4, 12)
    assert not torch.equal(head(inputs), head(inputs))
    head.eval()
    assert torch.equal(head(inputs), head(inputs))


@pytest.mark.parametrize("dropout", [-0.1, 1, 1.5])
def test_dropout_out_of_range_is_refused(dropout: float) -> None:
    with pytest.raises(ValueError, match=f"dropout must be at least 0 and less than 1, got {dropout}"):
        flatten_and_classify(nn.Identity(), (4,), [], 2, dropout=dropout)
