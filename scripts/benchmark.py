"""Compare this project's training with hand-written loops: ratios measured in one run, the variants taking turns.

    python scripts/benchmark.py                     everything but the last six, about 35 minutes on two cores
    python scripts/benchmark.py pipeline            images/s of the data alone against torchvision's way
    python scripts/benchmark.py overhead            what train.py takes above a bare loop, in µs per step
    python scripts/benchmark.py end_to_end          seconds per epoch against loops from plain to best
    python scripts/benchmark.py dimensions          seconds per epoch of sequences, images and volumes
    python scripts/benchmark.py batch_size          images/s by batch size, device and network size
    python scripts/benchmark.py batch_size_time     seconds to 98 % by batch size, at the learning rate of each
    python scripts/benchmark.py time_to_accuracy    seconds of whole runs to 99 % and 98 %
    python scripts/benchmark.py imports             seconds of whole small commands against their libraries' import
    python scripts/benchmark.py busy                images/s beside programs that burn CPU, by how threads wait
    python scripts/benchmark.py loops_to_accuracy   seconds of training to 98 and 99 %, beside loops written by hand
    python scripts/benchmark.py threads             images/s on the CPU by number of threads, in about a minute
    python scripts/benchmark.py memory              what processes take of it: a run, and a file of 10 GB, which is made
    python scripts/benchmark.py peers               seconds and searches beside Keras, fastai, Ray Tune and others
    python scripts/benchmark.py gpu                 on a CUDA GPU: steps, precisions, compilers, searches, memory
    python scripts/benchmark.py --smoke             a few steps of each: does it work?

| loop      | what it is                                                                                               |
| --------- | -------------------------------------------------------------------------------------------------------- |
| plain     | what a course teaches: a Dataset's samples one by one, eager float32, the accuracy read every step       |
| careful   | uint8 tensors in memory, gathered and normalised a batch at a time; eager float32, contiguous            |
| best      | careful in channels_last, with the fused optimizer, in bfloat16 where the hardware computes in it        |
| floor     | one batch again and again in the fastest layout and precision                                            |
| bare      | the project's own batches, precision, layout, optimizer and threads without a Trainer                    |
| barebones | Lightning's Trainer with everything off around the bare step                                             |
| template  | what train.py runs: callbacks, TensorBoard, schedule                                                     |
| lightning | the same in Lightning's own loop, trainer.fast_loop=false                                                |
| fast      | the same with trainer=fast, which on an NVIDIA GPU also has CUDA graphs                                  |

Every variant trains from the same weights; all are warmed up, then timed in turns over the same number of steps, so
many that the slowest takes about a second and the fastest at least a quarter of one, an epoch at most. A cell that
would take longer than a minute and a half is repeated less often; those of gpu are shorter. What was measured is kept
after each cell: the same command goes on where it was stopped, and draws tables and figures again from
<out>/<part>.csv. With --seconds it stops by itself, the most valuable cells of gpu measured, and says what is missing.
"""

import argparse
import signal
import sys
from pathlib import Path
from typing import Any

from cnnlab.cli import console
from cnnlab.cli.signals import signals_raise
from cnnlab.errors import Interrupted, UserError, did_you_mean
from cnnlab.runs.commands import this_script
from cnnlab.speed.threads import wait_briefly

PARTS = (
    "pipeline",
    "overhead",
    "end_to_end",
    "dimensions",
    "batch_size",
    "batch_size_time",
    "time_to_accuracy",
    "imports",
)
CHOICES = (*PARTS, "busy", "loops_to_accuracy", "threads", "memory", "peers", "gpu")
OUT = Path("outputs/bench")
# A machine with a GPU is often rented by the minute: its part ends by itself, and each cell is as short as it can be.
_GPU_SECONDS = 540
_LENGTHS: dict[str, dict[str, Any]] = {
    "peers": {"repeats": 3},
    "gpu": {"repeats": 3, "seconds": 0.3, "cell_seconds": 12.0},
}


@console.forgiving()
def main() -> None:
    arguments = parse_arguments()
    wait_briefly()  # before torch is loaded, as in train.py
    try:
        with signals_raise():
            measure(arguments)
    except BrokenPipeError:
        raise
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except (Interrupted, KeyboardInterrupt) as stop:
        again = [word for word in sys.argv[1:] if word != "--fresh"]
        print(f"stopped; {this_script(again)} goes on", file=sys.stderr)
        sys.exit(128 + getattr(stop, "signum", signal.SIGINT))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "parts", nargs="*", metavar="part", help=f"any of {', '.join(CHOICES)} (default all but the last six)"
    )
    parser.add_argument(
        "--repeats", type=positive, help="times that each variant is timed (default 5, of peers and gpu 3)"
    )
    parser.add_argument("--seconds", type=positive, help="no more is measured after so many (gpu: 540)")
    parser.add_argument("--smoke", action="store_true", help="one repeat of a few steps, one small network")
    parser.add_argument("--set", dest="overrides", nargs="+", action="extend", default=[], metavar="KEY=VALUE")
    parser.add_argument("--fresh", action="store_true", help="measure again what has been measured")
    parser.add_argument("--models", nargs="+", default=[], metavar="MODEL", help="for overhead, end_to_end, dimensions")
    parser.add_argument("--batch-sizes", nargs="+", type=positive, default=[], metavar="N")
    parser.add_argument("--trials", type=positive, default=40, help="trials of each search of peers (default 40)")
    parser.add_argument("--results", type=Path, help="also put the tables between the markers in this Markdown file")
    parser.add_argument("--figures", type=Path, help="also put the figures as benchmark_<part>.png into this folder")
    parser.add_argument("--out", type=Path, default=OUT, help=f"folder of measurements and figures (default {OUT})")
    parser.add_argument("--device", help=argparse.SUPPRESS)  # for a test of gpu where there is none
    arguments = parser.parse_args()
    for part in arguments.parts:
        if part not in CHOICES:
            parser.error(f"unknown part {part!r}: choose from {', '.join(CHOICES)}{did_you_mean(part, CHOICES)}")
    return arguments


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {number}")
    return number


def measure(arguments: argparse.Namespace) -> None:
    """Measure and write the parts.

    Raises:
        UserError: for bad input, and for gpu where there is none.
    """
    from cnnlab.workbench.benchmark import session
    from cnnlab.workbench.benchmark.measuring import Settings

    devices = session.devices(arguments.overrides, arguments.device)
    parts = dict.fromkeys(arguments.parts or PARTS)
    if "gpu" in parts and arguments.device is None and devices[0] != "cuda":
        from cnnlab.speed.hardware import why_no_cuda

        raise UserError(f"the part gpu needs a CUDA GPU: {why_no_cuda()}")
    settings = {
        part: Settings(
            devices=devices,
            models=tuple(arguments.models),
            batch_sizes=tuple(arguments.batch_sizes),
            overrides=tuple(arguments.overrides),
            smoke=arguments.smoke,
            trials=arguments.trials,
            **_LENGTHS.get(part, {}) | ({"repeats": arguments.repeats} if arguments.repeats else {}),
        )
        for part in parts
    }
    command = ["scripts/benchmark.py", *sys.argv[1:]]
    output = session.Output(arguments.out, arguments.results, command, arguments.figures)
    session.run(settings, output, arguments.fresh, arguments.seconds or (_GPU_SECONDS if "gpu" in parts else None))


if __name__ == "__main__":
    main()
