"""An environment for each peer: what pip adds for it lies over the packages of the running interpreter."""

import importlib.metadata
import shutil
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

from cnnlab.data.files.locations import cache_dir
from cnnlab.workbench.benchmark.store import fingerprint

_SHARED = ("torch", "torchvision", "lightning", "numpy", "optuna")  # a peer that needs others than these is left out


class NotInstallable(Exception):
    """Says in one line why a peer has no environment."""


@dataclass(frozen=True)
class Peer:
    """A tool to measure.

    Attributes:
        name: in tables and figures.
        script: in scripts/peers.
        packages: what pip installs for it; nothing if it runs in this interpreter.
        distribution: whose version the tables name.
        options: of its script.
    """

    name: str
    script: str
    distribution: str
    packages: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        """Distribution and version, of its own environment where that exists."""
        places = [str(_site_packages(self._folder()))] if self.packages else sys.path
        found = next(iter(importlib.metadata.distributions(name=self.distribution, path=places)))
        return f"{self.distribution} {found.version}"

    def interpreter(self) -> str:
        """The Python that runs it; its environment is made by the first call and kept in the user's cache folder.

        Raises:
            NotInstallable: if pip cannot install it beside the packages of this interpreter.
        """
        if not self.packages:
            return sys.executable
        folder = self._folder()
        python = folder / "bin/python"
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            venv.create(folder, with_pip=True)
            shared = [path for path in sys.path if Path(path).name == "site-packages"]
            (_site_packages(folder) / "shared.pth").write_text("\n".join(shared), encoding="utf-8")
            constraints = folder / "constraints.txt"
            lines = [f"{name}=={importlib.metadata.version(name)}" for name in _SHARED]
            constraints.write_text("\n".join(lines), encoding="utf-8")
            pip = [str(python), "-m", "pip", "install", "--quiet", "--constraint", str(constraints), *self.packages]
            done = subprocess.run(pip, capture_output=True, text=True, check=False)
            if done.returncode:
                reasons = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
                raise NotInstallable((reasons or ["pip failed"])[0].removeprefix("ERROR: "))
            (folder / "complete").touch()
        return str(python)

    def _folder(self) -> Path:
        shared = {name: importlib.metadata.version(name) for name in _SHARED}
        key = fingerprint({"packages": self.packages, "python": sys.version, "shared": shared, "prefix": sys.prefix})
        return cache_dir() / "peers" / key


def _site_packages(environment: Path) -> Path:
    return Path(sysconfig.get_path("purelib", "venv", {"base": str(environment), "platbase": str(environment)}))
