"""One search by Ray's tasks, each of which is the same command; Ray gives each its GPUs: pip install ray==2.60.0

python scripts/cluster/ray_sweep.py 8 1 train.py -m sweep=tinyvgg hydra.sweeper.storage=postgresql://user@host/studies

The two numbers are those of the tasks and of the GPUs of each. Every node needs the project in the same folder.
"""

import os
import subprocess
import sys

import ray

num_tasks, num_gpus, *command = sys.argv[1:]


@ray.remote(num_gpus=float(num_gpus), max_retries=3)
def search(folder: str) -> int:
    return subprocess.run([sys.executable, *command], cwd=folder).returncode


ray.init(log_to_driver=True)  # RAY_ADDRESS=auto joins a running cluster
sys.exit(max(ray.get([search.remote(os.getcwd()) for _ in range(int(num_tasks))])))
