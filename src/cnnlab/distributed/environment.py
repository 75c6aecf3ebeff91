"""How the processes of a run find each other: alone, started here, by torchrun, or by srun."""

import os
from collections.abc import Mapping
from typing import Any

from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_only

from cnnlab.errors import UserError
from cnnlab.runs import ranks

_FIRST_PORT = 15_000  # as Lightning chooses one in a job of Slurm


def environment(settings: Mapping[str, Any]) -> LightningEnvironment:
    """Return Lightning's view of the processes of a run with these arguments of its Trainer.

    Left alone, Lightning asks for as many devices as a Slurm job has tasks (SLURM_NTASKS=4), also where a run has one;
    in a process of srun or torchrun it would leave all files to a first process, which knows nothing of such a run.
    """
    if ranks.is_alone(settings):
        rank_zero_only.rank = 0  # type: ignore[attr-defined]
    elif ranks.launcher() == "srun":
        _say_it_as_torchrun_does()
    return LightningEnvironment()


def check_number(trainer: Trainer, settings: Mapping[str, Any]) -> None:
    """Raise UserError if the run is not to have as many processes as its launcher has started, or that is unknown."""
    if ranks.is_alone(settings):
        return
    wanted, started = trainer.num_devices * trainer.num_nodes, ranks.num_launched()
    if started is None and "LOCAL_RANK" in os.environ and ranks.FURTHER not in os.environ:
        raise UserError(
            f"LOCAL_RANK={os.environ['LOCAL_RANK']} says that a launcher has started this process, but it is neither "
            "torchrun nor srun, which this project knows; use one of these, or unset LOCAL_RANK to train here"
        )
    if started is not None and started != wanted:
        raise UserError(
            f"{ranks.launcher()} has started {started} processes, but trainer.devices={trainer.num_devices} on "
            f"trainer.num_nodes={trainer.num_nodes} make {wanted}; give both as they are started"
        )
    if started is None and trainer.num_nodes > 1:
        raise UserError(
            f"trainer.num_nodes={trainer.num_nodes} needs torchrun or srun, which start the processes of each machine; "
            "docs/clusters.md has the commands"
        )


def _say_it_as_torchrun_does() -> None:
    """Set the variables that torch reads from those that srun has set."""
    given = os.environ
    given["LOCAL_RANK"], given["NODE_RANK"] = given["SLURM_LOCALID"], given.get("SLURM_NODEID", "0")
    nodes = given.get("SLURM_STEP_NODELIST") or given.get("SLURM_NODELIST") or "127.0.0.1"
    given.setdefault("MASTER_ADDR", SLURMEnvironment.resolve_root_node_address(nodes))
    job, step = given.get("SLURM_JOB_ID", "0"), given.get("SLURM_STEP_ID", "0")
    given.setdefault("MASTER_PORT", str(_FIRST_PORT + (int(job) * 10 + int(step)) % 10_000))
