"""What is found in a data set, as text."""

from collections.abc import Sequence

from cnnlab.data import split_checks
from cnnlab.data.datamodule import DataModule
from cnnlab.data.files.imaging import read_header
from cnnlab.data.files.picture_names import is_picture
from cnnlab.workbench.data_inspection.oddities import Copies, Odd
from cnnlab.workbench.data_inspection.samples import Part
from cnnlab.workbench.notation import aligned, shortened

_MOST_CLASSES, _MOST_NAMED = 30, 5


def class_counts(data: DataModule, part: Part) -> list[int]:
    """How many samples of a split each class or label has."""
    counts: list[int] = split_checks.class_counts(part.all_labels, data.num_classes).tolist()
    return counts


def described(data: DataModule, parts: Sequence[Part], found: Copies, odd: Sequence[Odd]) -> str:
    """Tables of the splits and the classes, then what may be a mistake."""
    shape = "x".join(map(str, data.input_shape))
    lines = [f"{data.dataset}: {data.noun} of {shape}, {str(parts[0].inputs.dtype).removeprefix('torch.')}", ""]
    lines += [_splits(parts, found), ""]
    if data.targets == "values":
        lines += [_values(data, parts[0]), ""]
    else:
        lines += [_classes(data, parts), ""]
    looked = [f"{len(p.inputs):,} of {p.num_samples:,} {p.split}" for p in parts if len(p.inputs) < p.num_samples]
    if looked:
        lines.append(f"looked at     {', '.join(looked)} samples")
    if sizes := _file_sizes(parts):
        lines.append(sizes)
    lines += _mistakes(data, parts, found, odd)
    return "\n".join(lines)


def _splits(parts: Sequence[Part], found: Copies) -> str:
    rows = [["split", "samples", "copies within", "also in training"]]
    for part in parts:
        shared = "" if part.split == "training" else f"{found.num_shared(part.split):,}"
        rows.append([part.split, f"{part.num_samples:,}", f"{found.num_within(part.split):,}", shared])
    return aligned(rows, 1)


def _classes(data: DataModule, parts: Sequence[Part]) -> str:
    counts = [class_counts(data, part) for part in parts]
    total = sum(counts[0]) or 1
    rows = [["class", *(part.split for part in parts), "share of training"]]
    for i, name in enumerate(data.class_names[:_MOST_CLASSES]):
        rows.append([shortened(name, 30), *(f"{column[i]:,}" for column in counts), f"{counts[0][i] / total:.1%}"])
    more = data.num_classes - _MOST_CLASSES
    largest, smallest = max(counts[0]), min(counts[0])
    balance = f"\nthe largest class has {largest / max(1, smallest):.3g} times as many training samples as the smallest"
    return aligned(rows, 1) + (f"\n… {more} more" if more > 0 else "") + balance * (largest > 1.05 * smallest)


def _values(data: DataModule, part: Part) -> str:
    rows = [["value", "lowest", "mean", "highest"]]
    for name, column in zip(data.class_names, part.all_labels.T.double(), strict=True):
        rows.append([name, *(f"{number:.4g}" for number in (column.min(), column.mean(), column.max()))])
    return aligned(rows, 1)


def _file_sizes(parts: Sequence[Part]) -> str:
    paths = [path for part in parts for path in part.paths if is_picture(path.name)]
    if not paths:
        return ""
    sizes = sorted({(h.height, h.width) for h in map(read_header, paths)}, key=lambda size: size[0] * size[1])
    if len(sizes) == 1:
        return f"files         {sizes[0][0]}x{sizes[0][1]}, height x width"
    (small, large) = (f"{height}x{width}" for height, width in (sizes[0], sizes[-1]))
    return f"files         {len(sizes):,} sizes from {small} to {large}, height x width"


def _mistakes(data: DataModule, parts: Sequence[Part], found: Copies, odd: Sequence[Odd]) -> list[str]:
    lines = []
    if unreadable := [reason for part in parts for reason in part.unreadable]:
        lines += ["unreadable    " + "; ".join(unreadable[:_MOST_NAMED])]
    for what, groups in (("copies", found.groups), ("contradiction", found.contradictions)):
        for group in groups[:_MOST_NAMED]:
            labels = ", ".join(f"{part.name(n)} ({_label(data, part, n)})" for part, n in group[:_MOST_NAMED])
            lines.append(f"{what:<14}{labels}")
        if len(groups) > _MOST_NAMED:
            lines.append(f"{'':<14}and {len(groups) - _MOST_NAMED:,} more groups")
    by_reason: dict[str, list[str]] = {}
    for one in odd:
        by_reason.setdefault(one.reason, []).append(one.part.name(one.number))
    for reason, names in list(by_reason.items())[: 4 * _MOST_NAMED]:
        more = f" and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
        lines.append(f"odd           {reason}: {', '.join(names[:_MOST_NAMED])}{more}")
    return lines or ["no copies and no odd samples were found"]


def _label(data: DataModule, part: Part, number: int) -> str:
    label = part.labels[number]
    if data.targets == "classes":
        return data.class_names[int(label)]
    if data.targets == "values":
        return ", ".join(f"{value:.4g}" for value in label.reshape(-1).tolist())
    return " ".join(name for name, there in zip(data.class_names, label.tolist(), strict=True) if there) or "none"
