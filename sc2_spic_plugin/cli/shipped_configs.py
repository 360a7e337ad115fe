"""`sc2-spic configs`: the configs that come with the package are listed, copied, checked and rendered."""

from pathlib import Path

import typer

from ..errors import ConfigError

__all__ = ["configs_app"]

configs_app = typer.Typer(help="The configs that come with the package.", no_args_is_help=True)


@configs_app.command("list")
def configs_list() -> None:
    """Print the names of the shipped configs."""
    from ..configs import list_configs

    typer.echo("\n".join(list_configs()))


@configs_app.command("copy")
def configs_copy(name: str, target: Path) -> None:
    """Copy a shipped config to a file of your own."""
    from ..configs import resolve_config
    from ..ops import write_atomic

    source = resolve_config(name)
    if target.is_dir():
        target = target / source.name
    if target.exists():
        raise ConfigError(f"{target} exists; choose another name.")
    write_atomic(target, source.read_bytes())
    typer.echo(str(target))


@configs_app.command("check")
def configs_check(names: list[str]) -> None:
    """Say what is wrong with configs, sweeps or suites before anything is built; exit code 1 if something is."""
    from ..configs import check_file, resolve_config
    from ..configs.plain import load_plain
    from ..search import load_space

    wrong = 0
    for name in names:
        path = resolve_config(name)
        if "space" in load_plain(path.read_text()):
            load_space(path)
            typer.echo(f"{path}: ok")
            continue
        for point, problems in check_file(path).items():
            wrong += len(problems)
            label = f"{path} {point}".strip()
            typer.echo(f"{label}: " + ("ok" if not problems else ""))
            for problem in problems:
                typer.echo(f"  - {problem}")
    if wrong:
        raise typer.Exit(1)


@configs_app.command("render")
def configs_render(sweep: str, out: Path) -> None:
    """Write every point of a sweep as a config of its own."""
    from ..configs import load_sweep, resolve_config
    from ..ops import write_atomic

    for point in load_sweep(resolve_config(sweep)):
        path = out / f"{point.name}.yaml"
        if path.exists() and path.read_text() != point.text:
            raise ConfigError(f"{path} exists with other content; choose another folder.")
        typer.echo(str(write_atomic(path, point.text)))
