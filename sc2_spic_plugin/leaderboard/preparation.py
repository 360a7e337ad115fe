"""Whether a data set's transform prepares images as a protocol says."""

from collections.abc import Iterator
from typing import Any

from ..errors import ConfigError
from .protocol import Protocol

__all__ = ["check_transform"]


def _steps(transform: Any) -> Iterator[Any]:
    """Yields the single steps of nested Compose and Sequential objects in order."""
    inner = getattr(transform, "transforms", None)
    if inner is None and type(transform).__name__ == "Sequential":
        inner = list(transform)
    if inner is None:
        yield transform
        return
    for step in inner:
        yield from _steps(step)


def _is(step: Any, name: str) -> bool:
    """Says whether a step is torchvision's of that name, or the joint one for image and mask."""
    return any(base.__name__ in (name, f"Pair{name}") for base in type(step).__mro__)


def _is_random(step: Any) -> bool:
    name = type(step).__name__.lower().replace("wrapped", "").removeprefix("pair")
    return name.startswith(("random", "autoaugment", "trivialaugment"))


def _square(size: Any) -> Any:
    """Reduces 160, [160] and (160, 160) to 160; leaves other sizes as they are."""
    sides = list(size) if isinstance(size, list | tuple) else [size]
    return sides[0] if len(set(sides)) == 1 else tuple(sides)


def check_transform(protocol: Protocol, transform: Any) -> None:
    """Checks that an evaluation data set's transform prepares images as the protocol says.

    Steps that do not change which pixels are seen (tensor conversion, normalisation, codecs) are ignored.

    Args:
        protocol: what is promised.
        transform: a torchvision transform, v1 or v2, usually a Compose, or a joint one of image and mask.

    Raises:
        ConfigError: a random step, or another resize, crop or interpolation; the message names the difference.
    """
    steps = list(_steps(transform)) if transform is not None else []
    for step in steps:
        if _is_random(step):
            raise ConfigError(
                f"The evaluation transform contains `{type(step).__name__}`, which is random; protocol "
                f"`{protocol.name}` evaluates fixed images. Use Resize and CenterCrop."
            )
    resizes = [step for step in steps if _is(step, "Resize")]
    crops = [step for step in steps if _is(step, "CenterCrop")]
    found: dict[str, Any] = {"resize": None, "crop": None}
    if resizes:
        size = resizes[-1].size
        found["resize"] = size if isinstance(size, int) else (size[0] if len(size) == 1 else tuple(size))
        mode = resizes[-1].interpolation
        found["interpolation"] = str(getattr(mode, "value", mode)).lower()
    if crops:
        found["crop"] = _square(crops[-1].size)
    if len(resizes) > 1 or len(crops) > 1:
        raise ConfigError(f"The evaluation transform has {len(resizes)} Resize and {len(crops)} CenterCrop steps.")
    if resizes and crops and steps.index(crops[0]) < steps.index(resizes[0]):
        raise ConfigError(
            f"The evaluation transform crops before it resizes; protocol `{protocol.name}` resizes first."
        )
    for key, value in found.items():
        wanted = getattr(protocol, key)
        if value != wanted:
            raise ConfigError(
                f"The evaluation transform has {key} {_say(value)}, protocol `{protocol.name}` says {_say(wanted)}. "
                "Change the config's transform, or choose the protocol that describes it."
            )


def _say(value: Any) -> str:
    return "none" if value is None else str(value)
