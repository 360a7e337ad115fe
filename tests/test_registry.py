"""Registration: what the hosts know after one import, never over another's key; the core works without any host."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sc2_spic_plugin.errors import ConfigError
from sc2_spic_plugin.registry import register, register_all, registered_names

MANIFEST = Path(__file__).parent / "golden" / "registered_names.json"


def fresh_process(code: str) -> str:
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=MANIFEST.parents[2])
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_the_registered_names_are_those_of_the_manifest() -> None:
    if os.environ.get("SC2_SPIC_WRITE_GOLDEN"):
        MANIFEST.write_text(json.dumps(registered_names(), indent=2) + "\n")
    assert registered_names() == json.loads(MANIFEST.read_text())
    names = [name for names in registered_names().values() for name in names]
    assert all(name.startswith(("Spic", "spic_")) for name in names)


def test_the_hosts_build_by_those_names() -> None:
    from sc2bench.analysis import get_analyzer
    from sc2bench.models.backbone import BACKBONE_FUNC_DICT
    from torchdistill.datasets.registry import DATASET_DICT
    from torchdistill.losses.registry import get_mid_level_loss
    from torchdistill.models.registry import MODEL_DICT

    names = registered_names()
    assert all(name in BACKBONE_FUNC_DICT and name in MODEL_DICT for name in names["model"])
    assert all(type(get_mid_level_loss({"key": name, "kwargs": {}})).__name__ == name for name in names["loss"])
    assert all(type(get_analyzer(name)).__name__ == name for name in names["analyzer"])
    assert all(name in DATASET_DICT for name in names["dataset"])


def test_registering_twice_changes_nothing() -> None:
    from sc2bench.analysis import ANALYZER_CLASS_DICT
    from torchdistill.models.registry import MODEL_DICT

    before = registered_names(), dict(ANALYZER_CLASS_DICT), dict(MODEL_DICT)
    register_all()
    assert (registered_names(), dict(ANALYZER_CLASS_DICT), dict(MODEL_DICT)) == before


def test_a_taken_key_is_refused_and_keeps_its_owner() -> None:
    table: dict[str, object] = {"SpicThing": int}
    with pytest.raises(ConfigError, match=r"the loss key `SpicThing` is already taken by <class 'int'>"):
        register("loss", table, "SpicThing", str, lambda value: table.update(SpicThing=value))
    assert table == {"SpicThing": int} and "SpicThing" not in registered_names().get("loss", [])


TAKEN = """
import torchvision
from sc2bench.models.backbone import BACKBONE_FUNC_DICT
from torchdistill.datasets.registry import DATASET_DICT
from torchdistill.models.registry import MODEL_DICT
for table, key in (
    (BACKBONE_FUNC_DICT, "spic_classifier"), (MODEL_DICT, "spic_eval_teacher"), (DATASET_DICT, "SpicSyntheticImages")
):
    table[key] = "another's"
    try:
        import sc2_spic_plugin
    except ValueError as error:
        print(f"`{key}` is already taken by" in str(error), table.pop(key))
import sc2_spic_plugin
print(MODEL_DICT["spic_classifier"].__name__)
"""


def test_importing_the_plugin_takes_no_key_of_another_plugin() -> None:
    lines = fresh_process(TAKEN).splitlines()
    assert lines == ["True another's"] * 3 + ["spic_classifier"]


WITHOUT_HOSTS = """
import sys
for host in ("sc2bench", "torchdistill", "compressai", "timm", "torchvision"):
    sys.modules[host] = None
import torch
import sc2_spic_plugin
from sc2_spic_plugin.coding import StaticCoder, pack_payload, Payload
from sc2_spic_plugin.layers import BottleneckUnit
from sc2_spic_plugin.ops import tensors_digest
unit = BottleneckUnit(4, 2).eval()
symbols = unit.encode(torch.rand(2, 4, 6, 6))
coder = StaticCoder.fit(symbols)
code = coder.encode(symbols[0])
assert torch.equal(coder.decode(code, symbols[0].shape), symbols[0])
assert unit.decode(symbols, (6, 6)).shape == (2, 4, 6, 6)
print(len(pack_payload(Payload(0, (6, 6), code), (6, 6))) == len(code) + 1, len(tensors_digest(unit.state_dict())))
"""


def test_layers_coding_and_ops_work_where_no_host_is_installed() -> None:
    assert fresh_process(WITHOUT_HOSTS).split() == ["True", "64"]


def test_the_core_imports_no_host_even_where_they_are_installed() -> None:
    code = (
        "import sys, importlib.util as util\n"
        "real = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'sc2bench' else real(name, *rest)\n"
        "import sc2_spic_plugin.ops, sc2_spic_plugin.layers, sc2_spic_plugin.coding\n"
        "print(sorted({'sc2bench', 'torchdistill', 'compressai', 'torchvision'} & set(sys.modules)))"
    )
    assert fresh_process(code).strip() == "[]"
