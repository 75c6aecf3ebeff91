"""One prediction, from files to a table, its files and contact sheets."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from cnnlab.errors import UserError, joined_errors, printable
from cnnlab.instantiation import check_value
from cnnlab.runs import run_folder
from cnnlab.runs.atomic import write_atomically
from cnnlab.runs.commands import short_path
from cnnlab.runs.json_files import read_json
from cnnlab.saved_run import load_model
from cnnlab.workbench import canvas
from cnnlab.workbench.prediction import contact_sheet, sources
from cnnlab.workbench.prediction.class_answers import Answers
from cnnlab.workbench.prediction.estimates import Estimates
from cnnlab.workbench.prediction.label_sets import LabelSets
from cnnlab.workbench.prediction.predictor import Predictor
from cnnlab.workbench.prediction.reader import Prepared
from cnnlab.workbench.prediction.tables import Table

_MOST_EXPLAINED = 20

_TABLES: dict[str, type[Table[Any]]] = {"classes": Answers, "multilabel": LabelSets, "values": Estimates}


class Prediction(NamedTuple):
    """The result of `predict`.

    Attributes:
        answers: and what was skipped.
        text: what to print.
        folder: where the files lie.
    """

    answers: Table[Any]
    text: str
    folder: Path


def predict(
    run: str | Path,
    images: str | None = None,
    inputs: str | None = None,
    explain: bool = False,
    out: str | None = None,
    accelerator: str = "auto",
    format: str = "png",
) -> Prediction:
    """Say what classes, labels or values files have; write predictions.csv, predictions.json and contact sheets.

    Args:
        run: a run folder, or latest.
        images, inputs: a file, a folder, a glob or a zip archive; of pictures, or whatever else the network takes.
            For a network that reads texts also a sentence.
        explain: also draw the way through the network of the first 20.
        out: where to write; None: a new folder in outputs/predictions.
        accelerator: auto, cpu, gpu, cuda or mps.
        format: svg or pdf writes the figures of explain in that format too.

    Raises:
        UserError: for bad input, or if none of the files can be answered.
    """
    texts = {"images": images, "inputs": inputs, "out": out}
    for key, value, hint in (*((*text, str | None) for text in texts.items()), ("explain", explain, bool)):
        check_value(key, value, hint)
    canvas.check_format(format)
    if images and inputs:
        raise UserError("expected images= or inputs=, which mean the same, got both")
    named = images or inputs
    saved = load_model(run)
    predictor = Predictor(saved, accelerator)
    if not named:
        raise UserError(predictor.reader.request)
    if explain and not saved.learns_classes:
        raise UserError(
            f"explain=true draws the way to a class, but {short_path(saved.folder)} learns {saved.targets_in_words}"
        )
    reader, key = predictor.reader, "images" if images else "inputs"
    found = reader.find(named, key)
    answers, sheets = _answered(predictor, found)
    if not answers.given:
        raise UserError(joined_errors([UserError(reason) for reason in answers.skipped.values()]))
    accuracy = read_json(saved.folder / "metrics.json").get("val/accuracy")
    if isinstance(answers, Answers) and isinstance(accuracy, float):
        answers.warn_if_unsure(accuracy, saved.data["dataset"])
    about = {"run": str(saved.folder), "dataset": saved.data["dataset"], "images": str(found.folder)}
    files = {"predictions.csv": answers.as_csv(), "predictions.json": answers.as_json(**about)}
    files |= dict(zip(_numbered("contact_sheet", len(sheets)), sheets, strict=True))
    if explain and isinstance(answers, Answers):
        with canvas.also_saved_as(format) as vectors:
            for number, (name, answer) in enumerate(list(answers.given.items())[:_MOST_EXPLAINED], start=1):
                named_after = "" if reader.entry == "text" else f"_{Path(name).stem}"
                files[f"through_the_net/{number:02}{named_after}.png"] = predictor.explanation(answer, name)
        files = canvas.with_vectors(files, vectors, format)
    try:
        folder = Path(out).expanduser().absolute() if out else _claimed(saved.folder)
        for name, content in files.items():
            write_atomically(folder / name, content)
    except OSError as error:
        where = out or Path("outputs/predictions").absolute()
        raise UserError(f"out: cannot write to {where} ({error.strerror}); name another folder with out=") from error
    parts = [answers.as_text()]
    if found.num_others:
        kinds = found.kinds_of_others
        parts.append(f"passed over, because by their names they are no {predictor.reader.what}: {kinds}")
    if explain and len(answers.given) > _MOST_EXPLAINED:
        parts.append(f"explained the first {_MOST_EXPLAINED} of {len(answers.given):,}")
    parts.append(f"Answered by {short_path(saved.folder)}, which was trained on {saved.data['dataset']}.")
    parts.append("\n  ".join(["Written", *_listed(folder, list(files))]))
    return Prediction(answers, "\n\n".join(parts), folder)


def _answered(predictor: Predictor, found: sources.Sources) -> tuple[Table[Any], list[bytes]]:
    """Answers and contact sheets: a page at a time, so that memory holds the samples of one."""
    answers = _TABLES[predictor.targets](predictor.class_names, named=predictor.reader.entry)
    sheets: list[bytes] = []
    page: dict[str, Prepared] = {}

    def turn_page(is_last: bool = False) -> None:
        captions = answers.add(predictor, {name: seen.sample for name, seen in page.items()})
        entries = [
            contact_sheet.Entry(name, seen.picture, seen.seen, *caption)
            for (name, seen), caption in zip(page.items(), captions, strict=True)
            if seen.picture is not None and seen.seen is not None
        ]
        if entries:
            asked = found.names[0] if len(found) == 1 else found.folder.name
            title = f"{printable(asked)}: the answers of {predictor.name}"
            sheets.append(contact_sheet.draw(entries, title, list(answers.skipped) if is_last else ()))
        page.clear()

    what = predictor.reader.what
    bar = tqdm(found.contents(), total=len(found), unit=f" {what}", delay=1, disable=not sys.stderr.isatty())
    for name, source in bar:
        try:
            if isinstance(source, UserError):
                raise source
            for sample_name, prepared in predictor.reader.read_all(source, name):
                if len(page) == contact_sheet.MOST_ENTRIES:
                    turn_page()
                page[sample_name] = prepared
                if isinstance(answers, Answers) and prepared.part:
                    answers.parts[sample_name] = prepared.part
                if prepared.warning and prepared.warning not in answers.warnings:
                    answers.warnings.append(prepared.warning)
        except UserError as error:
            answers.skipped[name] = str(error)
    if page:
        turn_page(is_last=True)
    return answers, sheets


def _numbered(name: str, number: int) -> list[str]:
    digits = len(str(number))
    return [f"{name}.png"] if number == 1 else [f"{name}_{page:0{digits}}.png" for page in range(1, number + 1)]


def _listed(folder: Path, names: list[str]) -> list[str]:
    """The files' paths, of several contact sheets the first and the last."""
    sheets = [name for name in names if name.startswith("contact_sheet")]
    shown = [short_path(folder / name) for name in names if name not in sheets[1:]]
    return [f"{path} to {sheets[-1]}" if len(sheets) > 1 and path.endswith(sheets[0]) else path for path in shown]


def _claimed(run_dir: Path) -> Path:
    moment = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    return run_folder.claim(Path(f"outputs/predictions/{moment}_{run_dir.name}").absolute())
