"""The samples that an evaluation shows, to be listened to."""

import re
from dataclasses import replace

from cnnlab.data.audio_datamodule import AudioDataModule
from cnnlab.data.files.wav import wav_bytes
from cnnlab.workbench.evaluation.figures import Files, Subject


def recordings(subject: Subject) -> Files:
    """The samples of the galleries as WAV files; also those that the network sees as spectrograms.

    There are none of data that are no recordings.
    """
    if not isinstance(subject.datamodule, AudioDataModule):
        return {}
    data = subject.datamodule.as_waveforms()
    data.setup()
    audible, scores = replace(subject, datamodule=data), subject.scores
    files: Files = {}
    for folder, kept in {"most_wrong": scores.outputs.most_wrong, "random": scores.outputs.random}.items():
        indices = kept.indices.tolist()
        waves = dict(zip(sorted(indices), audible.as_stored(audible.samples(indices)), strict=True))
        for place, index in enumerate(indices, start=1):
            true, predicted = (scores.class_names[int(labels[index])] for labels in (scores.labels, scores.predicted))
            name = re.sub(r"[^\w.-]+", "_", f"{place:02}_sample_{index}_true_{true}_predicted_{predicted}")
            content = wav_bytes(waves[index][0].numpy(), data.audio.sample_rate)
            files[f"recordings/{folder}/{name}.wav"] = content
    return files
