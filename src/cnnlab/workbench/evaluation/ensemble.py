"""One answer from several runs: the mean of their networks' probabilities."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cnnlab.data import agreement
from cnnlab.errors import UserError
from cnnlab.runs.commands import short_path
from cnnlab.saved_run import SavedModel, load_model

# What runs must have in common, beside what agreement.difference compares: the same samples, in the same numbers.
_SHARED = ("dataset", "scale", "preprocessing", "mean", "std")


class MeanOverNetworks(nn.Module):
    """Maps (N, *input_shape) to the logarithm of the networks' mean probabilities, (N, num_classes)."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, x: Tensor) -> Tensor:
        answers = [network(x).float().log_softmax(dim=1) for network in self.networks]
        return torch.stack(answers).logsumexp(dim=0) - math.log(len(answers))


def with_others(saved: SavedModel, runs: Sequence[str]) -> SavedModel:
    """The run with a network that answers by the mean of its own and those of these runs.

    Raises:
        UserError: if one of them learns something else, or from other data.
    """
    others = [load_model(run) for run in runs]
    for member in (saved, *others):
        where = short_path(member.folder)
        if not member.learns_classes:
            raise UserError(f"ensemble= takes the mean of probabilities, but {where} learns {member.targets_in_words}")
        differing = [name for name in _SHARED if member.data[name] != saved.data[name]]
        if different := agreement.difference(member.data, saved.data) or next(iter(differing), None):
            raise UserError(
                f"an ensemble needs runs on the same data, normalised in the same way, but {where} and "
                f"{short_path(saved.folder)} differ in {different}"
            )
    return saved._replace(model=MeanOverNetworks([saved.model, *(other.model for other in others)]).eval())
