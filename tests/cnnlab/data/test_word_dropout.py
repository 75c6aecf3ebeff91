"""Word dropout replaces words, never padding, and each with the same probability."""

import pytest
import torch

from cnnlab.data.word_dropout import WordDropout


def test_words_become_unknown_and_padding_stays() -> None:
    texts = torch.randint(2, 1_000, (500, 1, 40), dtype=torch.int32)
    texts[:, :, 30:] = 0
    dropped = WordDropout(0.2)(texts, torch.Generator().manual_seed(0))
    changed = dropped != texts
    assert dropped.dtype == torch.int32
    assert (dropped[changed] == 1).all()
    assert not changed[:, :, 30:].any()
    assert changed[:, :, :30].float().mean().item() == pytest.approx(0.2, abs=0.01)
    assert torch.equal(WordDropout(0.0)(texts, torch.Generator()), texts)
    with pytest.raises(ValueError, match="probability must be at least 0 and less than 1, got 1"):
        WordDropout(1)
