"""One HTML page of a study that needs no other file and no network: its best trials, leaderboard and figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import pandas as pd
from optuna.trial import FrozenTrial

from cnnlab.workbench.html_page import escaped, inlined_figure, style
from cnnlab.workbench.notation import is_absent, shown, shown_metric, shown_seconds
from cnnlab.workbench.study_reports.leaderboard import leaderboard_rows, ranked
from cnnlab.workbench.study_reports.seed_table import seed_rows
from cnnlab.workbench.study_reports.sweep_folder import Sweep, as_typed
from cnnlab.workbench.study_reports.trial_commands import commands
from cnnlab.workbench.study_reports.trial_table import STATE_WORDS, counts, outcome, value_columns

_MOST_ROWS = 2000  # of the leaderboard
_MOST_OF_THE_FRONT = 50
_CAPTIONS = {
    "optimization_history": "The value of each complete trial, and the best so far.",
    "intermediate_values": "What the trials reported after each epoch or run; a cross is where one was stopped.",
    "param_importances": "How much each setting explains of the differences between the trials.",
    "slices": "The value over each setting; later trials are darker.",
    "parallel_coordinate": "A line through all settings for each complete trial; the better, the darker.",
    "contour": "The value over the two most important settings, interpolated between the trials.",
    "pareto_front": "Two objectives against each other; no trial beats those on the line in both.",
    "seeds": "Mean and standard deviation over seeds or folds.",
    "timeline": "When each trial ran, and in which slot.",
}


def study_page(
    sweep: Sweep,
    table: pd.DataFrame,
    params: pd.DataFrame,
    seeds: pd.DataFrame | None,
    best: Sequence[int],
    figures: Mapping[str, bytes],
) -> str:
    """The page.

    Args:
        table, params, seeds: as in the other reports.
        best: the trial at the top, or all that no other beats in every objective.
        figures: PNG files by name.
    """
    template = Template(Path(__file__).with_name("study_page.html").read_text(encoding="utf-8"))
    shown_trials = ranked(table).head(_MOST_ROWS)
    left_out = len(ranked(table)) - len(shown_trials)
    parts = {"best": "Best"} if best else {}
    parts |= {"leaderboard": "Leaderboard", **({"seeds": "Seeds"} if seeds is not None else {}), "figures": "Figures"}
    return template.substitute(
        title=escaped(sweep.name),
        style=style(),
        about=escaped(f"To {sweep.aims}; {sweep.folder.resolve()}"),
        cards=_cards(sweep, table, best),
        contents=" ".join(f'<a href="#{name}">{words}</a>' for name, words in parts.items()),
        best=_best(sweep, best),
        note=escaped(f"Commands of any trial: python scripts/report.py {as_typed(sweep.folder)} --trial <number>"),
        **_leaderboard(sweep, shown_trials, params, best),
        left_out=f'<p class="soft">{left_out:,} more in leaderboard.csv</p>' if left_out else "",
        seeds="" if seeds is None else _seeds(sweep, seeds),
        figures="\n".join(_figure(name, figures[name]) for name in sorted(figures, key=_place))
        or '<p class="soft">None was drawn.</p>',
    )


def _cards(sweep: Sweep, table: pd.DataFrame, best: Sequence[int]) -> str:
    cards = {STATE_WORDS.get(name, name.lower()): f"{number:,}" for name, number in counts(table).items()}
    if len(best) == 1 and not sweep.several:
        value = shown_metric(sweep.metrics[0], sweep.trials[best[0]].value)
        cards = {f"best {sweep.metrics[0]}": value, **cards}
    seconds = float(table["seconds"].astype(float).sum())
    cards["hours of trials" if seconds >= 7200 else "seconds of trials"] = (
        f"{seconds / 3600:,.1f}" if seconds >= 7200 else shown_seconds(seconds)
    )
    shown_cards = (f'<div class="card"><b>{escaped(v)}</b><span>{escaped(k)}</span></div>' for k, v in cards.items())
    return f'<div class="cards">{"".join(shown_cards)}</div>'


def _best(sweep: Sweep, best: Sequence[int]) -> str:
    if not best:
        return ""
    if len(best) == 1:
        return f'<h2 id="best">Best</h2>{_trial(sweep, sweep.trials[best[0]])}'
    entries = [
        f"<details><summary>{_headline(sweep, sweep.trials[number])}</summary>{_trial(sweep, sweep.trials[number])}"
        "</details>"
        for number in best[:_MOST_OF_THE_FRONT]
    ]
    return f'<h2 id="best">Trials that no other beats in every objective</h2>{"".join(entries)}'


def _headline(sweep: Sweep, trial: FrozenTrial) -> str:
    return escaped(f"Trial {trial.number}: {outcome(sweep, trial)}")


def _trial(sweep: Sweep, trial: FrozenTrial) -> str:
    params = " ".join(f"{name}={shown(value)}" for name, value in trial.params.items())
    return "".join(
        [
            f"<p>{_headline(sweep, trial)}, in {escaped(str(trial.user_attrs.get('folder', trial.number)))}/</p>",
            f"<p>{escaped(params)}</p>",
            *(f"<h3>{kind.capitalize()}</h3>{_command(text)}" for kind, text in commands(sweep, trial).items()),
        ]
    )


def _command(text: str) -> str:
    return f'<div class="command"><pre>{escaped(text)}</pre><button type="button">copy</button></div>'


def _leaderboard(sweep: Sweep, table: pd.DataFrame, params: pd.DataFrame, best: Sequence[int]) -> dict[str, str]:
    """Header and rows; each cell as in the other tables, and in full for sorting and filters."""
    if table.empty:
        return {"header": "", "rows": ""}
    cells = leaderboard_rows(sweep, table, params, reasons=True)
    header, values = cells[0], value_columns(sweep)
    raw = {1: [str(number) for number in table.index]}
    raw |= {3 + i: [_plain(value) for value in table[column]] for i, column in enumerate(values)}
    after = 3 + len(values)
    if header[after] == "mean" and "mean" in table:
        raw[after] = [_plain(value) for value in table["mean"]]
    raw[header.index("best epoch", after) + 1] = [_plain(value) for value in table["seconds"]]
    lines = []
    for i, row in enumerate(cells[1:]):
        cell_texts = []
        for place, cell in enumerate(row):
            value = raw[place][i] if place in raw and cell else cell.replace(",", "") if _is_number(cell) else None
            data = f' data-value="{escaped(value)}"' if value is not None and value != cell else ""
            kind = ' class="number"' if value is not None and _is_number(value) else ""
            cell_texts.append(f"<td{kind}{data}>{escaped(cell)}</td>")
        kind = ' class="best"' if int(table.index[i]) in best else ""
        lines.append(f"<tr{kind}>{''.join(cell_texts)}</tr>")
    heads = (
        f'<th><button type="button">{escaped(name)}</button><input aria-label="filter {escaped(name)}"></th>'
        for name in header
    )
    return {"header": f"<tr>{''.join(heads)}</tr>", "rows": "\n".join(lines)}


def _plain(value: Any) -> str:
    return "" if pd.isna(value) else repr(float(value))


def _is_number(text: str) -> bool:
    try:
        return not is_absent(float(text.replace(",", "")))
    except ValueError:
        return False


def _seeds(sweep: Sweep, seeds: pd.DataFrame) -> str:
    header, *rows = seed_rows(sweep, seeds)
    lines = ["".join(f"<td>{escaped(cell)}</td>" for cell in row) for row in rows]
    head = "".join(f"<th>{escaped(name)}</th>" for name in header)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<h2 id="seeds">Over seeds and folds</h2><div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _place(file: str) -> tuple[int, str]:
    known = [i for i, name in enumerate(_CAPTIONS) if file.startswith(name)]
    return (known[0] if known else len(_CAPTIONS), file)


def _figure(file: str, png: bytes) -> str:
    name = file.removesuffix(".png")
    caption = next((text for start, text in _CAPTIONS.items() if name.startswith(start)), "")
    return f"<h3>{escaped(name.replace('_', ' ').capitalize())}</h3>{inlined_figure(png, caption)}"
