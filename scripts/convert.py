"""Convert data as others publish them to what train.py reads, without a line of code.

    python scripts/convert.py train.csv test.csv digits.npz        a label and pixels in each row, as on Kaggle
    python scripts/convert.py train_32x32.mat test_32x32.mat svhn.npz
    python scripts/convert.py cifar-10-batches-py cifar10.npz      the folder of the pickled batches
    python scripts/convert.py x.npy y.npy mine.npz                 arrays of samples and labels
    python scripts/convert.py labels.csv images photos             a table of names and labels: a folder for each class
    python scripts/convert.py recordings sounds                    files named by their label: 7_jackson_0.wav

It reads CSV and TSV, Parquet, ARFF, MATLAB (.mat), NumPy (.npy, .npz, also MedMNIST's), IDX (.gz), the pickles of CIFAR
without running code in them, and folders of pictures or recordings. An .npz file at the end takes arrays, and a folder
takes pictures or recordings, as links where the disk can. The split is told by the names (train, val, test); without a
test split a stratified part becomes one. Samples without labels are kept in a file or folder of their own for
predict.py. Nothing that is there already is overwritten.
"""

import argparse
from pathlib import Path

from cnnlab.cli import console


@console.script()
def main() -> None:
    arguments = parse_arguments()
    from cnnlab.workbench.conversion.convert import convert
    from cnnlab.workbench.conversion.to_arrays import Choices

    labels = arguments.labels.split(",") if arguments.labels else []
    choices = Choices(labels, arguments.shape, arguments.size, arguments.test_fraction)
    print(convert(arguments.sources, arguments.out, choices))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+", type=Path, help="files or folders to read")
    parser.add_argument("out", type=Path, help="the .npz file or the folder to write")
    parser.add_argument("--labels", metavar="A,B", help="the column of the labels, or several columns of 0 and 1")
    parser.add_argument(
        "--shape", type=shape, metavar="HxW", help="of a sample, where rows of numbers are images: 48x64"
    )
    parser.add_argument("--size", type=int, metavar="N", help="make arrays of NxN of the pictures that a table names")
    parser.add_argument(
        "--test-fraction", type=fraction, default=0.1, metavar="F", help="for a missing test split (default 0.1)"
    )
    return parser.parse_args()


def shape(text: str) -> tuple[int, ...]:
    sides = tuple(int(side) if side.isdecimal() else 0 for side in text.lower().split("x"))
    if min(sides) < 1:
        raise argparse.ArgumentTypeError(f"expected positive sizes as in 28x28 or 3x32x32, got {text!r}")
    return sides


def fraction(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value <= 0.5:
        raise argparse.ArgumentTypeError(f"expected a share greater than 0 and at most 0.5, got {text!r}")
    return value


if __name__ == "__main__":
    main()
