"""Memory freed in one step is there for the next, without the system clearing it again."""

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")

STEPS = """
import resource
from cnnlab.speed.allocator import keep_freed_memory

keep_freed_memory()
for step in range(30):
    if step == 10:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    activations = [bytearray(size << 20) for size in (4, 12, 24)]
    del activations
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.parametrize(("own_setting", "faults_expected"), [({}, False), ({"MALLOC_TRIM_THRESHOLD_": "0"}, True)])
def test_a_step_takes_no_new_pages(
    own_setting: dict[str, str], faults_expected: bool, environment: dict[str, str]
) -> None:
    given = {name: value for name, value in environment.items() if name not in ("GLIBC_TUNABLES",)} | own_setting
    ran = subprocess.run([sys.executable, "-c", STEPS], env=given, capture_output=True, text=True, check=True)
    num_faults = int(ran.stdout)
    assert (num_faults > 1000) == faults_expected
    assert num_faults < 100 or faults_expected
