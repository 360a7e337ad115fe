"""Runs scripts in new processes where the package is found but the hosts are never imported."""

import subprocess
import sys
from pathlib import Path

import sc2_spic_plugin

_PREAMBLE = """
import sys, types
package = types.ModuleType("sc2_spic_plugin")
package.__path__ = [{package!r}]
sys.modules["sc2_spic_plugin"] = package
sys.path.insert(0, {tests!r})
"""
_CLOSING = """
hosts = {"sc2bench", "torchdistill", "compressai", "torchvision"} & set(sys.modules)
assert not hosts, f"coding must not need {hosts}"
"""


def run_bare(scripts: list[str]) -> list[str]:
    """Runs all scripts at once and returns what each printed; fails when one fails or imports a host."""
    preamble = _PREAMBLE.format(package=str(Path(sc2_spic_plugin.__file__).parent), tests=str(Path(__file__).parent))
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", preamble + script + _CLOSING],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for script in scripts
    ]
    try:
        results = [(*process.communicate(timeout=120), process.returncode) for process in processes]
    finally:
        for process in processes:
            process.kill()
    for _, errors, code in results:
        assert code == 0, errors
    return [output for output, _, _ in results]
