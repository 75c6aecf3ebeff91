"""docs/async_optuna.md is true: its app runs its commands where cnnlab, torch and lightning cannot be imported."""

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from app_runs import load, points, results, states

from conftest import PROJECT

DOCUMENT = (PROJECT / "docs/async_optuna.md").read_text(encoding="utf-8")
UNIMPORTABLE = """
import sys


class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("cnnlab", "torch", "lightning", "torchvision"):
            raise ImportError(f"{name} is not installed")


sys.meta_path.insert(0, Absent())
"""
TRIALS = {"20": "3", "30": "5"}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT, flags=re.DOTALL)


INSTALL, *OTHERS = ([re.sub(r"\s+#.*", "", line) for line in block.splitlines()] for block in blocks("bash"))
COMMANDS = [line for lines in OTHERS for line in lines if line]
SCRIPTS = re.findall(r"(?i)this is\s+`(\w+\.py)`", DOCUMENT)


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """The app's folder as the document describes it."""
    for folder in INSTALL[0].split()[2:-1]:
        shutil.copytree(PROJECT / folder.removeprefix("cnnlab/"), tmp_path / Path(folder).name)
    (tmp_path / "fit.yaml").write_text(blocks("yaml")[0], encoding="utf-8")
    for name, content in zip(SCRIPTS, blocks("python"), strict=True):
        (tmp_path / name).write_text(content, encoding="utf-8")
    (tmp_path / "absent").mkdir()
    (tmp_path / "absent/sitecustomize.py").write_text(UNIMPORTABLE, encoding="utf-8")
    return tmp_path


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info >= (3, 14), reason="Hydra 1.3 itself does not start there")
def test_the_app_of_the_document_searches_without_cnnlab_and_torch(app: Path) -> None:
    def python(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(app / "absent")}
        return subprocess.run(
            [sys.executable, *arguments], cwd=app, env=environment, capture_output=True, text=True, timeout=120
        )

    for name in ("cnnlab", "torch", "lightning"):
        assert "is not installed" in python("-c", f"import {name}").stderr
    outputs = []
    for line in COMMANDS:
        arguments = [re.sub(r"(?<=n_trials=)\d+", lambda n: TRIALS[n[0]], word) for word in shlex.split(line)[1:]]
        if "-m" in arguments and "n_trials" not in line:
            arguments.append("hydra.sweeper.n_trials=3")
        ended = python(*arguments)
        assert ended.returncode == 0, (line, ended.stdout, ended.stderr)
        outputs.append(ended.stdout)

    study = load(app / "outputs/search")
    assert states(study) == ["COMPLETE"] * 5
    assert "3 already done" in outputs[2]
    assert len(set(points(study))) == 5
    content = results(app / "outputs/search")
    assert content["counts"]["pruned"] == 0
    best = content["best_params"]
    assert content["best_value"] == pytest.approx((best["x"] - 1) ** 2 + best["y"] + 1 / 3)
    assert content["best_value"] == study.best_value
    assert results(app / "outputs/limited")["best_params"]["y"] <= 1
    assert {trial.params["x"] >= 0 for trial in load(app / "outputs/near").trials} == {True}


def test_the_document_installs_what_the_engine_imports() -> None:
    files = [path for name in ("async_optuna", "hydra_plugins") for path in (PROJECT / "src" / name).rglob("*.py")]
    nodes = [node for path in files for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    names = {node.module.partition(".")[0] for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    names |= {alias.name.partition(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    libraries = names - set(sys.stdlib_module_names) - {"async_optuna", "hydra_plugins"}
    assert libraries == {"hydra", "omegaconf", "optuna", "yaml"}  # the other two come with these two
    declared = (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    wanted = shlex.split(INSTALL[1])[2:]
    assert [re.split(r"[<>=]", requirement)[0] for requirement in wanted] == ["hydra-core", "optuna"]
    assert all(f'"{requirement}"' in declared for requirement in wanted)
