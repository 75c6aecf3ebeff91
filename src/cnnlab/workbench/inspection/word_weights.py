"""What each word of a text contributed to a network's answer."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

_TEXTS_PER_BATCH = 256


def word_weights(model: nn.Module, sample: Tensor, answer: int, blank: int = 0) -> NDArray[np.float64]:
    """How much the log-odds of the answer fall when a word is taken out of its place (occlusion), for every place.

    Log-odds are log(p / (1 - p)); unlike probabilities they do not stop changing near 1. A positive weight speaks for
    the answer, a negative one against it. The other words stay in their places, so it is the word that counts and not
    the shift; the weights of words that matter only together need not add up.

    Args:
        model: in eval mode, on the sample's device.
        sample: numbers of words, (1, length).
        answer: the number of a class.
        blank: the number that stands for no word; places that hold it have the weight 0.

    Returns:
        (length,)
    """
    places = (sample[0] != blank).nonzero()[:, 0]
    copies = sample.repeat(len(places) + 1, 1, 1)  # the first stays whole
    copies[torch.arange(len(places), device=sample.device) + 1, 0, places] = blank
    with torch.no_grad():
        logits = torch.cat([model(batch) for batch in torch.split(copies, _TEXTS_PER_BATCH)]).double()
    others = torch.cat([logits[:, :answer], logits[:, answer + 1 :]], dim=1)
    log_odds = (logits[:, answer] - others.logsumexp(dim=1)).cpu().numpy()
    weights = np.zeros(sample.shape[1])
    weights[places.cpu().numpy()] = log_odds[0] - log_odds[1:]
    return weights
