"""How a point of committed results is named, and where its unit lies if it is shipped with them."""

from collections.abc import Sequence
from pathlib import Path

from ...errors import ConfigError, nearest
from ..results import Origin, Source

__all__ = ["UNITS", "find_point", "shipped_unit_path"]

UNITS = "units"


def find_point(sources: Sequence[Source], name: str) -> Origin:
    """Returns the point called `CURVE/UNIT`, or `CURVE/UNIT@SEED` where the curve has several seeds of the unit.

    Args:
        sources: result files; CURVE is the name of one, without `.json`, or of all its parts (`CURVE@2.json`).
        name: of the point.

    Raises:
        ConfigError: no such curve or point, the message names the nearest; or several that are called so.
    """
    curve, slash, unit = name.partition("/")
    if not slash:
        raise ConfigError(f"a point is called CURVE/UNIT, for example `jpeg/q20`; got `{name}`.")
    files = [each for each in sources if each.path is not None and curve in (each.path.stem, _curve_of(each.path))]
    if not files:
        known = [_curve_of(source.path) for source in sources if source.path is not None]
        raise ConfigError(f"no result file `{curve}.json` among the paths. {nearest(curve, known)}")
    if len({source.path.parent for source in files if source.path is not None}) > 1:
        listed = ", ".join(str(source.path) for source in files)
        raise ConfigError(f"there are several files `{curve}.json`: {listed}. Name one of them, or its folder, alone.")
    points = [Origin(point, source) for source in files for point in source.result.points]
    found = [each for each in points if unit in (each.point.unit, f"{each.point.unit}@{each.point.seed}")]
    if not found:
        raise ConfigError(f"`{curve}` has no point `{unit}`. {nearest(unit, [each.point.unit for each in points])}")
    if len(found) > 1:
        seeds = ", ".join(f"`{curve}/{each.point.unit}@{each.point.seed}`" for each in found)
        raise ConfigError(f"`{name}` was measured several times; say which: {seeds}.")
    return found[0]


def _curve_of(path: Path) -> str:
    """Returns the curve that a result file is of, which may have been shipped in parts: `CURVE@2.json` and so on."""
    return path.stem.partition("@")[0]


def shipped_unit_path(folder: Path, origin: Origin) -> Path:
    """Returns the path, without suffix, of the files of a point's unit: `CURVE/UNIT`, or `CURVE/seedK/UNIT`.

    Args:
        folder: of shipped units.
        origin: the point; its result file says the curve's name and whether it has several seeds.
    """
    point, source = origin.point, origin.source
    curve = source.result.name if source.path is None else source.path.stem
    alike = [each for each in source.result.points if each.unit == point.unit]
    return folder / curve / (point.unit if len(alike) == 1 else f"seed{point.seed}/{point.unit}")
