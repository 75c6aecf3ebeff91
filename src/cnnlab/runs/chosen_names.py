"""The names that a run has chosen from the groups of conf/."""

from pathlib import Path
from typing import Any

from yaml import YAMLError, safe_load

# Groups in which several names stand for one class, so that only the name says what was chosen.
NAMED_AS_CHOSEN = ("augment",)


def chosen_names(folder: Path) -> dict[str, Any]:
    """Return what was chosen for each group of conf/, as in {"augment": "flip"}; {} if the run does not say it."""
    path = folder / ".hydra" / "hydra.yaml"
    try:
        return dict(safe_load(path.read_text(encoding="utf-8"))["hydra"]["runtime"]["choices"])
    except (OSError, KeyError, TypeError, ValueError, YAMLError):
        return {}
