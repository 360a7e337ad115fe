"""How each method is called and drawn, the same in every table and plot."""

import hashlib
from typing import NamedTuple

__all__ = [
    "LABEL_METHOD",
    "MASK_METHOD",
    "METHOD_STYLES",
    "ORIGINAL_METHOD",
    "SENT_OUTPUT_METHODS",
    "UNCODED_METHODS",
    "MethodStyle",
    "method_style",
]


class MethodStyle(NamedTuple):
    """Label, colour (hex) and matplotlib marker of a method; references are rows that compete with nobody."""

    label: str
    colour: str
    marker: str
    reference: bool = False


ORIGINAL_METHOD = "original"
LABEL_METHOD = "label"
MASK_METHOD = "mask"
SENT_OUTPUT_METHODS = (LABEL_METHOD, MASK_METHOD)  # the whole network on the device
UNCODED_METHODS = (ORIGINAL_METHOD,)  # nothing is sent, so there is no rate

METHOD_STYLES: dict[str, MethodStyle] = {
    ORIGINAL_METHOD: MethodStyle("original network", "#000000", "", reference=True),
    LABEL_METHOD: MethodStyle("send the label", "#000000", "*", reference=True),
    MASK_METHOD: MethodStyle("send the mask", "#444444", "*", reference=True),
    "feature_fp32": MethodStyle("send the feature (fp32)", "#606060", "3", reference=True),
    "feature_int8": MethodStyle("send the feature (int8)", "#909090", "4", reference=True),
    "spic": MethodStyle("SPIC", "#0b3c8c", "o"),
    "spic_static_table": MethodStyle("SPIC, static table", "#2f6fd0", "h"),
    "spic_static_table_modes": MethodStyle("SPIC, static table, modes", "#08306b", "d"),
    "spic_static_table_kl": MethodStyle("SPIC, static table, KL", "#5b8def", "P"),
    "spic_mode_table": MethodStyle("SPIC, mode table", "#e583b4", "p"),
    "spic_mode_table_kl": MethodStyle("SPIC, mode table, KL", "#9c1f6b", "p"),
    "spic_l1": MethodStyle("SPIC, l1", "#e69f00", "v"),
    "spic_l1_kl": MethodStyle("SPIC, l1, KL", "#b85600", "^"),
    "spic_factorized": MethodStyle("SPIC, factorised", "#117a55", "<"),
    "spic_scale_hyperprior": MethodStyle("SPIC, scale hyperprior", "#6a3d9a", ">"),
    "spic_mean_scale_hyperprior": MethodStyle("SPIC, mean-scale hyperprior", "#56b4e9", "s"),
    "spic_scale_hyperprior_kept": MethodStyle("SPIC, scale hyperprior kept", "#8b6bb1", "1"),
    "spic_mean_scale_hyperprior_kept": MethodStyle("SPIC, mean-scale hyperprior kept", "#2a8fbd", "2"),
    "spic_published": MethodStyle("SPIC, published units", "#b30059", "H"),
    "entropic_student": MethodStyle("Entropic Student", "#d62728", "D"),
    "entropic_student_mean_scale": MethodStyle("Entropic Student, mean-scale", "#e377c2", "d"),
    "end_to_end": MethodStyle("End-to-End", "#a6761d", "p"),
    "cr_bq": MethodStyle("CR+BQ", "#1b9e9e", "8"),
    "jpeg": MethodStyle("JPEG", "#333333", "X"),
    "webp": MethodStyle("WebP", "#8a8a8a", "^"),
    "heic": MethodStyle("HEIC", "#8c564b", "P"),
    "bpg": MethodStyle("BPG", "#b8860b", "H"),
    "vtm": MethodStyle("VTM", "#9aa800", "x"),
    "png": MethodStyle("PNG (lossless)", "#b5b5b5", "+"),
    "jpeg_feature": MethodStyle("JPEG on features", "#555555", "2"),
    "webp_feature": MethodStyle("WebP on features", "#aaaaaa", "1"),
    "neural_factorized": MethodStyle("factorised prior (input)", "#66a61e", "<"),
    "neural_scale_hyperprior": MethodStyle("scale hyperprior (input)", "#7570b3", "s"),
    "neural_mean_scale_hyperprior": MethodStyle("mean-scale (input)", "#e7298a", "o"),
    "neural_joint_autoregressive": MethodStyle("joint autoregressive (input)", "#3f007d", "v"),
}

_FALLBACK_COLOURS = ("#4e79a7", "#f28e2b", "#59a14f", "#b07aa1", "#9c755f", "#76b7b2", "#e15759", "#edc948")
_FALLBACK_MARKERS = ("o", "s", "^", "v", "D", "P", "X", "<", ">", "p", "h")


def method_style(method: str) -> MethodStyle:
    """Returns the style of a method; one that nobody registered gets a style that depends on its name alone."""
    if method in METHOD_STYLES:
        return METHOD_STYLES[method]
    digest = hashlib.sha256(method.encode()).digest()
    colour = _FALLBACK_COLOURS[digest[0] % len(_FALLBACK_COLOURS)]
    return MethodStyle(method.replace("_", " "), colour, _FALLBACK_MARKERS[digest[1] % len(_FALLBACK_MARKERS)])


def method_rank(method: str) -> tuple[int, str]:
    """Sort key: registered methods in their order, others after them by name."""
    known = list(METHOD_STYLES)
    return (known.index(method) if method in METHOD_STYLES else len(known)), method
