"""Arguments and options that several commands share."""

from typing import Annotated

import typer

__all__ = ["Config", "Set"]

Config = Annotated[str, typer.Argument(help="a config file, or the name of a shipped one (`sc2-spic configs list`)")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="replace a value of the config, dotted path")
]
