"""Packaging of sc2-spic-plugin."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
CONFIGS = HERE / "yaml_configs"


def read_version() -> str:
    """Returns the one version string of the project, without importing the package."""
    for line in (HERE / "sc2_spic_plugin" / "version.py").read_text().splitlines():
        if line.startswith("__version__"):
            return line.split('"')[1]
    raise RuntimeError("sc2_spic_plugin/version.py has no __version__ line")


def config_files() -> list[tuple[str, list[str]]]:
    """Lists the YAML configs so that they are installed beside the package as data."""
    folders = sorted({path.parent for path in CONFIGS.rglob("*.yaml")})
    return [
        (
            str(Path("share/sc2_spic_plugin") / folder.relative_to(HERE)),
            [str(path.relative_to(HERE)) for path in sorted(folder.glob("*.yaml"))],
        )
        for folder in folders
    ]


TEST = ["pytest>=8", "hypothesis>=6"]
DEV = [*TEST, "ruff>=0.8", "mypy>=1.13", "types-PyYAML", "build", "pre-commit"]

setup(
    name="sc2-spic-plugin",
    version=read_version(),
    description="SPIC split-computing compression inside sc2bench, torchdistill and CompressAI, measured in real bytes",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="MIT",
    packages=find_packages(include=["sc2_spic_plugin", "sc2_spic_plugin.*"]),
    package_data={"sc2_spic_plugin": ["py.typed"]},
    data_files=config_files(),
    python_requires=">=3.11,<3.13",
    install_requires=[
        "torch",
        "torchvision",
        "torchdistill>=1.1",
        "sc2bench>=0.1",
        "compressai>=1.2.6",
        "timm>=1.0",
        "numpy",
        "scipy",
        "pyyaml",
        "constriction>=0.4",
        "dahuffman",
        "pillow-heif",
        "typer",
        "rich",
        "matplotlib",
        "safetensors",
    ],
    extras_require={"test": TEST, "dev": DEV},
    entry_points={"console_scripts": ["sc2-spic=sc2_spic_plugin.cli.main:main"]},
    classifiers=[
        "License :: OSI Approved :: MIT License",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Topic :: Scientific/Engineering :: Image Processing",
    ],
)
