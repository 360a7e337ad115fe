"""Packaging of sc2-spic-plugin."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
PACKAGE = "sc2_spic_plugin"
DATA = {
    f"{PACKAGE}.yaml_configs": "yaml_configs",
    f"{PACKAGE}.protocols": "benchmarks/protocols",
    f"{PACKAGE}.published": "benchmarks/published",
}
"""YAML folders that lie beside the package in a checkout and inside it once installed."""


def read_version() -> str:
    """Returns the one version string of the project, without importing the package."""
    for line in (HERE / PACKAGE / "version.py").read_text(encoding="utf-8").splitlines():
        if line.startswith("__version__"):
            return line.split('"')[1]
    raise RuntimeError("sc2_spic_plugin/version.py has no __version__ line")


COCO = ["pycocotools>=2.0.7"]
BROWSER = ["selenium>=4.20"]
SEARCH = ["optuna>=5"]
TEST = [*COCO, *SEARCH, "pytest>=8", "pytest-xdist>=3.6", "hypothesis>=6"]
DEV = [*TEST, "ruff>=0.8", "mypy>=1.13", "types-PyYAML", "build", "pre-commit"]

setup(
    name="sc2-spic-plugin",
    version=read_version(),
    description="SPIC split-computing compression inside sc2bench, torchdistill and CompressAI, measured in real bytes",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    packages=[*find_packages(include=[PACKAGE, f"{PACKAGE}.*"]), *DATA],
    package_dir=DATA,
    package_data={
        PACKAGE: ["py.typed", "leaderboard/report/assets/*"],
        **{folder: ["**/*.yaml"] for folder in DATA},
    },
    python_requires=">=3.11,<3.13",
    install_requires=[
        "torch>=2.4",
        "torchvision",
        "torchdistill>=1.1",
        "sc2bench>=0.1",
        "compressai>=1.2.6",
        "timm>=1.0",
        "numpy",
        "scipy",
        "pyyaml",
        "pillow",
        "constriction>=0.4",
        "dahuffman",
        "pillow-heif",
        "bjontegaard>=1.3",
        "typer",
        "rich",
        "matplotlib",
        "safetensors",
    ],
    extras_require={"browser": BROWSER, "coco": COCO, "search": SEARCH, "ray": ["ray>=2.40"], "test": TEST, "dev": DEV},
    entry_points={"console_scripts": ["sc2-spic=sc2_spic_plugin.cli.main:main"]},
    keywords=["split computing", "feature compression", "entropy coding", "distillation", "benchmark"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: Image Processing",
        "Typing :: Typed",
    ],
)
