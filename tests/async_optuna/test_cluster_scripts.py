"""What is to be given to a cluster can be read there. test_slurm.py and test_ray.py run it."""

import shutil
import subprocess

import pytest
import yaml

from conftest import PROJECT

SCRIPTS = PROJECT / "scripts/cluster"


@pytest.mark.skipif(shutil.which("bash") is None, reason="this needs bash")
def test_the_script_for_slurm_is_one_of_bash() -> None:
    script = SCRIPTS / "slurm_sweep.sbatch"
    subprocess.run(["bash", "-n", str(script)], check=True)
    lines = script.read_text(encoding="utf-8").splitlines()
    first_command = next(number for number, line in enumerate(lines) if line and not line.startswith("#"))
    assert not any(line.startswith("#SBATCH") for line in lines[first_command:])  # there Slurm would not see them


def test_the_pods_of_kubernetes_are_given_the_password_as_a_file() -> None:
    job = yaml.safe_load((SCRIPTS / "kubernetes_sweep.yaml").read_text(encoding="utf-8"))
    assert job["spec"]["completionMode"] == "Indexed"
    (container,) = job["spec"]["template"]["spec"]["containers"]
    (environment,) = container["env"]
    assert f"install -m 600 /secret/pgpass {environment['value']}" in container["args"][0]
    assert environment["name"] == "PGPASSFILE"
    volumes = {volume["name"] for volume in job["spec"]["template"]["spec"]["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
