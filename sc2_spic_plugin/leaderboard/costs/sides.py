"""Which part of each kind of model runs on the device, which on the server, and which calls are entropy coding."""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torchvision  # noqa: F401 - sc2bench.transforms needs it imported first
from PIL import Image
from sc2bench.analysis import AnalyzableModule
from sc2bench.models.layer import SimpleBottleneck
from sc2bench.models.segmentation.base import BaseSegmentationModel
from sc2bench.models.segmentation.wrapper import (
    CodecInputCompressionSegmentationModel,
    NeuralInputCompressionSegmentationModel,
)
from sc2bench.models.wrapper import (
    CodecFeatureCompressionClassifier,
    CodecInputCompressionClassifier,
    NeuralInputCompressionClassifier,
)
from sc2bench.transforms import codec as host_codecs
from torch import nn

from ...coding.hyperprior_coder import HyperpriorCoder
from ...coding.integer_synthesis import IntegerSynthesis
from ...errors import ConfigError
from ...models import SplitModel
from ..codecs import EXTERNAL_CODECS, CodecPoint, RawFeature
from .spending import CODING, DEVICE, NETWORK, SERVER, Move, Switch

__all__ = ["Sides", "sides_of"]

_CODES = {"before": Move(work=CODING), "after": Move(work=NETWORK)}
_COMPUTES = {"before": Move(work=NETWORK), "after": Move(work=CODING)}
_SENT = {"after": Move(side=SERVER)}
_FACTORIZED_TABLES = ("_quantized_cdf", "_offset", "_cdf_length", "quantiles")
_GAUSSIAN_TABLES = ("_quantized_cdf", "_offset", "_cdf_length", "scale_table")
_DEVICE_NETWORKS = ("encoder", "g_a", "h_a", "h_s", "context_prediction", "entropy_parameters")


@dataclass(frozen=True)
class Sides:
    """A model between device and server.

    Attributes:
        switches: calls at which a forward pass goes from one side, or from network to coding, to the other.
        begins: the side on which a pass begins.
        encoder: what the names of the device's network tensors begin with (`frozen_state` names them).
        coder: the same of the tables that the device's entropy coder needs.
        frozen: the same of those tensors of the encoder that are the original network's, bit for bit.
    """

    switches: tuple[Switch, ...] = ()
    begins: str = DEVICE
    encoder: tuple[str, ...] = ()
    coder: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()


def sides_of(model: nn.Module, on_device: bool = False) -> Sides:
    """Returns the sides of a model.

    | model | encoder (network tensors on the device) | coder |
    |---|---|---|
    | `SplitModel` | front-end, encoder of the active unit | its tables |
    | the same, hyperprior kept | and the two networks of the hyperprior | density of the hyper-latent |
    | Entropic Student, factorised | `bottleneck_layer.encoder` | `entropy_bottleneck` |
    | Entropic Student, hyperprior | `bottleneck_layer.g_a`, `h_a`, `h_s` | and `gaussian_conditional` |
    | CR+BQ | `bottleneck_layer.encoder` | none |
    | neural codec on the input | `compression_model.g_a`, with what computes the probabilities | as above |
    | codec on features, raw features | `encoder` | none |
    | codec on the input | none | none |
    | any other network | none, or all of it | none |

    Args:
        model: as `evaluate` takes it.
        on_device: a network that sends nothing runs on the device as a whole, which then sends its output; otherwise
            it runs on the server, which gets the image as it is.

    Raises:
        ConfigError: a model of the hosts of another kind.
    """
    if isinstance(model, SplitModel):
        return _split_model(model)
    if isinstance(model, CodecInputCompressionClassifier | CodecInputCompressionSegmentationModel):
        return Sides(tuple(_codec_switches(model)))
    if isinstance(model, CodecFeatureCompressionClassifier):
        return Sides(tuple(_codec_switches(model)), encoder=("encoder.",), frozen=("encoder.",))
    if isinstance(model, NeuralInputCompressionClassifier | NeuralInputCompressionSegmentationModel):
        return _entropy_model_sides(model.compression_model, "compression_model", ("compress", "decompress"))
    path = "backbone.bottleneck_layer" if isinstance(model, BaseSegmentationModel) else "bottleneck_layer"
    try:
        bottleneck = model.get_submodule(path)
    except AttributeError:
        bottleneck = None
    if isinstance(bottleneck, SimpleBottleneck):
        return _quantized_sides(bottleneck, path)
    if bottleneck is not None:
        return _entropy_model_sides(bottleneck, path, ("encode", "decode"))
    if isinstance(model, AnalyzableModule) and not isinstance(model, BaseSegmentationModel):
        raise ConfigError(
            f"which part of a {type(model).__name__} runs on the device is not known; say it in "
            "`leaderboard/costs/sides.py`."
        )
    return Sides(begins=DEVICE, encoder=("",), frozen=("",)) if on_device else Sides(begins=SERVER)


def _split_model(model: SplitModel) -> Sides:
    coder = model.coder_of(model.active)
    switches: tuple[Switch, ...] = (
        Switch(coder, "encode", **_CODES),
        Switch(model, "decode", before=Move(side=SERVER)),
        Switch(coder, "decode", **_CODES),
    )
    if isinstance(coder, HyperpriorCoder):  # its networks are no entropy coding, as those of other hyperpriors are not
        switches += (Switch(coder, "analysis", **_COMPUTES), Switch(IntegerSynthesis, "__call__", **_COMPUTES))
    networks, tables = model.device_parts()
    return Sides(switches, encoder=("front_end.", *networks), coder=tables, frozen=("front_end.",))


def _entropy_model_sides(codec: nn.Module, path: str, calls: tuple[str, str]) -> Sides:
    """Describes a codec of compressai, or a bottleneck made of its entropy models."""
    switches = [Switch(codec, calls[0], **_SENT)]
    for name in ("entropy_bottleneck", "gaussian_conditional"):
        if hasattr(codec, name):
            switches += [Switch(getattr(codec, name), call, **_CODES) for call in ("compress", "decompress")]
    if hasattr(
        codec, "_compress_ar"
    ):  # symbol by symbol: network and coding cannot be told apart, both are booked here
        switches += [Switch(codec, call, **_CODES) for call in ("_compress_ar", "_decompress_ar")]
    needed = ("encoder", "g_a") if not hasattr(codec, "gaussian_conditional") else _DEVICE_NETWORKS
    tables = [f"{path}.entropy_bottleneck.{name}" for name in _FACTORIZED_TABLES]
    if hasattr(codec, "gaussian_conditional"):
        tables += [f"{path}.gaussian_conditional.{name}" for name in _GAUSSIAN_TABLES]
    return Sides(tuple(switches), encoder=tuple(f"{path}.{name}." for name in needed), coder=tuple(tables))


def _quantized_sides(bottleneck: SimpleBottleneck, path: str) -> Sides:
    """Describes a bottleneck whose latent is quantised and sent as it is."""
    names = [name for name in ("compressor", "decompressor") if getattr(bottleneck, name) is not None]
    switches = [Switch(bottleneck, name, **_CODES) for name in names]
    return Sides((Switch(bottleneck, "encode", **_SENT), *switches), encoder=(f"{path}.encoder.",))


def _codec_switches(model: Any) -> Iterator[Switch]:
    """Yields the moves within the call of a codec, which codes and decodes: the device is done when bytes are there."""
    coded = model.codec_encoder_decoder
    if coded is None:
        raise ConfigError(f"a {type(model).__name__} without `codec_encoder_decoder` sends nothing.")
    yield Switch(model, "codec_encoder_decoder", Move(DEVICE, CODING), Move(SERVER, NETWORK))
    if isinstance(coded, RawFeature):
        yield Switch(RawFeature, "encode", **_SENT)
    elif _any(coded, lambda step: isinstance(step, host_codecs.BPGModule | host_codecs.VTMModule) or _external(step)):
        yield Switch(subprocess, "run", **_SENT)  # the first program codes, the second one decodes
    else:
        yield Switch(Image.Image, "save", **_SENT)
        yield Switch(host_codecs, "to_pil_image", before=Move(side=DEVICE))  # the next channels of a feature


def _external(step: Any) -> bool:
    return isinstance(step, CodecPoint) and step.codec in EXTERNAL_CODECS


def _any(transform: Any, holds: Callable[[Any], bool]) -> bool:
    steps = getattr(transform, "transforms", None)
    return holds(transform) if steps is None else any(_any(step, holds) for step in steps)
