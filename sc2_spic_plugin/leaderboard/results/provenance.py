"""Where a result comes from: code version, package versions and environment."""

import importlib.metadata
import os
import platform
import subprocess
from functools import cache
from pathlib import Path

from ...version import __version__

__all__ = ["code_version", "collect_environment", "collect_versions", "processor_name"]

PACKAGES = (
    *("torch", "torchvision", "torchdistill", "sc2bench", "compressai", "timm"),
    *("numpy", "scipy", "constriction", "dahuffman", "pillow", "pillow-heif"),
)


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(Path(__file__).resolve().parents[2]), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


@cache
def code_version() -> str:
    """Returns the package version and, in a git checkout, the commit: `0.1.0+g1a2b3c4d5e6f`, `.dirty` if changed."""
    if _git("ls-files", "--error-unmatch", "version.py") is None:  # installed, or inside some other repository
        return __version__
    commit = _git("rev-parse", "--short=12", "HEAD")
    if commit is None:
        return __version__
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".")
    return f"{__version__}+g{commit}{'.dirty' if changed else ''}"


def collect_versions() -> dict[str, str]:
    """Returns the installed version of each package that a measurement depends on; absent ones are left out."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


@cache
def processor_name() -> str:
    """Returns how many processors there are, their name as the system has it, and the instructions that torch uses.

    Names say little in virtual machines: two kinds of "AMD EPYC" differ by a factor of two. Empty where there is none.
    """
    import torch

    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor()
    return f"{os.cpu_count()} x {name}, {torch.backends.cpu.get_cpu_capability()}" if name else ""


def collect_environment() -> dict[str, str | int | None]:
    """Returns Python, platform, processors, torch threads and accelerator; no host name, no user name."""
    import torch

    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu_count": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }
