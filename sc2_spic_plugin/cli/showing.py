"""One image before and after its payload: what `sc2-spic show` draws and says."""

import tempfile
from pathlib import Path

from ..errors import ConfigError, DataError
from ..leaderboard import method_style
from ..leaderboard.picture import (
    Comparison,
    check_picture_path,
    code_image,
    draw_comparison,
    network_input,
    visible_image,
)
from ..models import SplitModel
from ..ops.pictures import read_image
from ..training.checkpoint import load_model_checkpoint
from .opening import open_config
from .preparing import checkpoint_of
from .running import RunOptions

__all__ = ["show_image"]


def show_image(
    config: str, image: Path, out: Path, options: RunOptions, unit: str | None = None, overwrite: bool = False
) -> str:
    """Sends one image through the model of a config and draws what that changes.

    The checkpoint is the one of the options, else `checkpoint.pt` beside the config (as in the folder of a run), else
    the config's `dst_ckpt`. The image is prepared as those that the protocol reports.

    Args:
        config: a config with a protocol, by path or shipped name.
        image: any image file.
        out: the .png to write.
        options: as of a run; `test_only`, `precision` and `calibrates` say nothing here.
        unit: of a bank; None: the active one.
        overwrite: replace a picture that is there.

    Returns:
        One sentence: the picture, the payload's size, what became of the output.

    Raises:
        ConfigError: a config that cannot be run or whose model sends nothing, no unit of that name, or `out` exists.
        DataError: the image is missing or cannot be read.
        CheckpointError: no checkpoint, or one of another model.
    """
    if check_picture_path(out).exists() and not overwrite:
        raise ConfigError(f"{out} exists; choose another --out, or pass --overwrite.")
    if not image.is_file():
        raise DataError(f"there is no image at {image}; correct the path.")
    picture = read_image(image)
    with tempfile.TemporaryDirectory() as folder:
        rendered = Path(folder) / "config.yaml"
        path, _, built, about, protocol = open_config(
            config, rendered, options.device, options.seed, options.protocol, options.overrides
        )
    if unit is not None:
        if not isinstance(built.model, SplitModel):
            raise ConfigError("the model of this config has no units; leave --unit out.")
        built.model.select(unit)
    load_model_checkpoint(options.checkpoint or checkpoint_of(path, built), built.model)

    dataset = built.datasets[built.config["test"]["test_data_loader"]["dataset_id"]]
    tensor = network_input(dataset, picture)
    model = built.model.to(built.device)
    original = None if built.teacher is None else built.teacher.to(built.device)
    coded = code_image(model, original, tensor[None].to(built.device))
    of_bank = isinstance(model, SplitModel) and len(model.units) > 1
    comparison = Comparison(
        image=visible_image(dataset, tensor),
        before=coded.before,
        after=coded.after,
        classes=list(getattr(dataset, "classes", [])),
        code_bytes=coded.sizes.code_bytes,
        payload_bytes=coded.sizes.payload_bytes,
        bits_per_image_pixel=protocol.bits_per_image_pixel(coded.sizes.payload_bytes, tensor[0].numel()),
        name=image.name,
        method=method_style(about["method"]).label,
        unit=str(model.active) if of_bank else about.get("unit") or about["name"],
        cut=model.cut if isinstance(model, SplitModel) else None,
        bypassed=isinstance(model, SplitModel) and model.bypassed,
    )
    return f"{draw_comparison(comparison, out)}: {comparison.sentence}"
