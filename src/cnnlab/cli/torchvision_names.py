"""The names of torchvision's classifiers, read from its source text: importing torchvision would take seconds."""

import importlib.util
import re
from pathlib import Path


def torchvision_classifiers() -> set[str]:
    """Return the names that `model=torchvision model.name=` takes; empty where torchvision is not installed."""
    spec = importlib.util.find_spec("torchvision")
    folders = spec.submodule_search_locations or [] if spec else []
    files = [file for folder in folders for file in Path(folder, "models").glob("*.py")]
    return {name for file in files for name in re.findall(_REGISTERED, file.read_text(encoding="utf-8"))}


# A function below the decorator that makes it known by its name, maybe with other decorators between.
_REGISTERED = re.compile(r"^@register_model\(\)\n(?:@.*\n)*def (\w+)\(", re.MULTILINE)
