"""CompressAI's and edge-cloud-rac's JSON: read as reported, refused where something is missing or could be either."""

import json
from pathlib import Path
from typing import Any

import pytest
from reported_parts import standing

from sc2_spic_plugin.errors import DataError
from sc2_spic_plugin.leaderboard.readers import as_result, detect_format, read_reported

COMPRESSAI = {
    "name": "mbt2018-mean-mse",
    "description": "Inference (ans)",
    "results": {"psnr-rgb": [28.1, 30.5], "ms-ssim-rgb": [0.95, 0.98], "bpp": [0.2, 0.4], "encoding_time": [0.1, 0.2]},
}
RAC = {"top1": [0.75, 0.7], "top5": [0.92, 0.9], "bpp": [1.15, 0.7], "checkpoint": ["lmb0.08.pt", "lmb0.16.pt"]}


def _json(folder: Path, document: Any, name: str = "x.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(document))
    return path


def test_compressai_needs_an_accuracy_and_keeps_its_other_columns(tmp_path: Path) -> None:
    path = _json(tmp_path, COMPRESSAI)
    assert detect_format(path) == "CompressAI"
    with pytest.raises(DataError, match=r"ms-ssim-rgb, psnr-rgb, but no accuracy"):
        read_reported(path)
    document = {**COMPRESSAI, "results": {**COMPRESSAI["results"], "top1": [60.0, 70.0], "q": [1, 2]}}
    result = as_result([read_reported(_json(tmp_path, document))], standing(method="neural_mean_scale_hyperprior"))
    assert [(point.unit, point.bpp, point.top1) for point in result.points] == [("q1", 0.2, 60.0), ("q2", 0.4, 70.0)]
    assert result.points[0].extra == {"psnr-rgb": 28.1, "ms-ssim-rgb": 0.95, "encoding_time": 0.1}
    assert result.meta.bits == "reported" and "Inference (ans)" in result.description


def test_estimated_bits_are_called_estimated(tmp_path: Path) -> None:
    results = {"bpp": [0.2], "acc1": [60.0]}
    document = {"name": "x", "description": "Inference (entropy estimation)", "results": results}
    result = as_result([read_reported(_json(tmp_path, document))], standing())
    assert result.meta.bits == "estimated"


def test_accuracies_that_could_be_either_are_refused_until_somebody_says(tmp_path: Path) -> None:
    path = _json(tmp_path, {"results": {"bpp": [0.2], "top1": [0.6]}})
    with pytest.raises(DataError, match="--fractions"):
        read_reported(path)
    assert read_reported(path, fractions=True).points[0].accuracies == {"top1": 60.0}
    assert read_reported(path, fractions=False).points[0].accuracies == {"top1": 0.6}
    with pytest.raises(DataError, match="0 to 1"):
        read_reported(_json(tmp_path, {"results": {"bpp": [0.2], "top1": [60.0]}}), fractions=True)


def test_edge_cloud_rac_is_fractions_by_checkpoint_or_quality(tmp_path: Path) -> None:
    path = _json(tmp_path, RAC, "ours_n8.json")
    assert detect_format(path) == "edge-cloud-rac"
    result = as_result([read_reported(path)], standing(method="edge_cloud_rac"))
    assert [(point.unit, point.bpp, point.top1, point.top5) for point in result.points] == [
        ("lmb0.16", 0.7, 70.0, 90.0),
        ("lmb0.08", 1.15, 75.0, 92.0),
    ]
    webp = {"quality": [1, 8], "top1": [0.46, 0.56], "bpp": [0.24, 0.37]}
    assert [point.unit for point in read_reported(_json(tmp_path, webp)).points] == ["q1", "q8"]
    with pytest.raises(DataError, match="0 to 1"):
        read_reported(_json(tmp_path, {**RAC, "top1": [75.0, 70.0]}))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({**RAC, "top5": [0.9]}, "`top5` has 1 entries, `bpp` 2"),
        ({**RAC, "bpp": [1.0, float("nan")]}, r"bpp\[1\] is nan"),
        ({**RAC, "bpp": [1.0, "x"]}, "no number"),
        ({**RAC, "bpp": []}, "no list `bpp`"),
        ({"results": {"bpp": 1.0, "top1": 2.0}}, "no list `bpp`"),
        ({"a": 1}, "of no format that is read here"),
    ],
)
def test_a_json_file_that_lacks_something_says_what(tmp_path: Path, document: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_reported(_json(tmp_path, document))
