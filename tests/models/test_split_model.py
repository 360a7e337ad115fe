"""Laws of the split model: real bytes give what rounding gives, checkpoints hold units only, damage is survived."""

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_parts import UNIT, assert_same, make_images, make_network, make_split, make_student, network_state, observe
from torch import Tensor, nn

from sc2_spic_plugin.errors import BitstreamError, CheckpointError, ConfigError, CutError, TableError
from sc2_spic_plugin.models import SplitModel, freeze_network
from sc2_spic_plugin.training import spic_classifier

SIZES = [(32, 32), (80, 48), (33, 47), (200, 200)]


@pytest.fixture(scope="module")
def model() -> SplitModel:
    """A model with two units and tables."""
    model = make_split(units={"fine": UNIT, "coarse": {**UNIT, "latent_channels": 3, "step": 2.0}}).eval()
    for name in ("coarse", "fine"):
        model.select(name)
        for size in SIZES[:2]:
            observe(model, make_images(4, *size, seed=5))
    model.update()
    return model


@pytest.fixture(autouse=True)
def first_unit(model: SplitModel) -> None:
    model.select("fine")


def test_the_images_give_symbols_worth_coding(model: SplitModel) -> None:
    symbols = model.unit.encode(model.front_end(make_images(4)))
    assert len(symbols.unique()) > 3 and len({tuple(image.flatten().tolist()) for image in symbols}) == 4


def uncoded(model: SplitModel, images: torch.Tensor) -> torch.Tensor:
    model.bottleneck_updated = False
    try:
        return model(images)
    finally:
        model.bottleneck_updated = True


@pytest.mark.parametrize("unit", ["fine", "coarse"])
@pytest.mark.parametrize("size", SIZES)
def test_real_bytes_give_exactly_what_rounding_gives_at_any_image_size(
    model: SplitModel, size: tuple[int, int], unit: str
) -> None:
    model.select(unit)
    images = make_images(3, *size)
    assert torch.equal(model(images), uncoded(model, images))


def test_the_student_evaluates_alike_before_and_after_update() -> None:
    student, images = make_student().eval(), make_images(4)
    before = student(images)
    observe(student, images)
    student.update()
    assert torch.equal(student(images), before)


def test_encode_gives_the_hosts_layout_and_decode_gives_the_output(model: SplitModel) -> None:
    images = make_images(3)
    compressed = model.encode(images)
    assert list(compressed) == ["strings", "shape"] and compressed["shape"] == torch.Size([2, 2])
    assert isinstance(compressed["shape"], torch.Size) and len(compressed["strings"]) == 1
    assert [type(payload) for payload in compressed["strings"][0]] == [bytes] * 3
    assert torch.equal(model.decode(**compressed), model(images))


def test_the_header_is_one_byte_at_the_default_size_and_names_the_sizes_elsewhere(model: SplitModel) -> None:
    for size, header in (((32, 32), 1), ((80, 48), 4)):
        encoded = model.encode_batch(make_images(2, *size))
        assert [len(payload) for payload in encoded.payloads] == [code + header for code in encoded.code_bytes]


def test_a_payload_names_its_unit_whichever_is_active(model: SplitModel) -> None:
    images = make_images(2)
    outputs = {}
    for index, name in enumerate(("fine", "coarse")):
        model.select(name)
        outputs[name] = (model.encode(images), model(images))
        assert {payload[0] for payload in outputs[name][0]["strings"][0]} == {index}
    assert not torch.equal(outputs["fine"][1], outputs["coarse"][1])
    for compressed, output in outputs.values():
        assert torch.equal(model.decode(**compressed), output)
    mixed = [[outputs[name][0]["strings"][0][0] for name in outputs]]
    with pytest.raises(BitstreamError, match="must share unit and sizes"):
        model.decode(mixed, (1, 1))
    with pytest.raises(ConfigError, match=r"no unit `course`\. Did you mean `coarse`"):
        model.select("course")


def test_selecting_a_unit_touches_neither_network_nor_units(model: SplitModel) -> None:
    state = {**network_state(model), **{name: value.clone() for name, value in model.state_dict().items()}}
    model.select("coarse")
    assert_same(state, {**network_state(model), **model.state_dict()})


def test_it_works_under_inference_mode_and_outside_it_afterwards() -> None:
    model, images = make_split().eval(), make_images(2)
    observe(model, images)
    with torch.inference_mode():
        model.update()
        output = model(images)
        assert torch.equal(output, model.decode(**model.encode(images)))
    observe(model, images)
    model.update()
    assert torch.equal(model(images), output)


def test_the_checkpoint_holds_units_tables_and_digests_and_nothing_of_the_network(model: SplitModel) -> None:
    names = set(model.state_dict())
    assert {name.split(".")[0] for name in names} == {"units", "tables", "network_digest", "cut_digest"}
    assert {name.split(".")[1] for name in names if "." in name} == {"fine", "coarse"}
    assert {name.split(".")[0] for name, _ in model.named_parameters()} == {"units"}


def test_a_checkpoint_gives_another_process_the_same_payloads_and_outputs(model: SplitModel) -> None:
    other = make_split(units={"fine": UNIT, "coarse": {**UNIT, "latent_channels": 3, "step": 2.0}}).eval()
    other.load_state_dict({name: value.clone() for name, value in model.state_dict().items()})
    other.update()
    images = make_images(2, 48)
    assert other.encode(images) == model.encode(images) and torch.equal(other(images), model(images))


def test_checkpoints_of_other_models_are_refused() -> None:
    state = make_split().state_dict()
    for other, message in (
        (make_split(seed=1), "made for another network"),
        (make_split(cut="layer3"), "made for another cut"),
        (make_split(units={"unit": {**UNIT, "latent_channels": 5}}), "build the model with the channels"),
        (make_split(units={"unit": {**UNIT, "topology": "conv"}}), "does not fit this model's units"),
        (make_split(units={"other": UNIT}), "does not fit this model's units"),
    ):
        before = {name: value.clone() for name, value in network_state(other).items()}
        with pytest.raises(CheckpointError, match=message):
            other.load_state_dict(state)
        assert_same(before, network_state(other))
    foreign = make_network().state_dict()
    with pytest.raises(CheckpointError, match="has no `network_digest`"):
        make_split().load_state_dict(foreign)
    with pytest.raises(CheckpointError, match="does not fit"):
        make_split().load_state_dict({"network_digest": state["network_digest"], "cut_digest": state["cut_digest"]})


def test_strict_cannot_be_turned_off() -> None:
    model = make_split()
    state = model.state_dict()
    del state["units.unit.encoder.0.weight"]
    with pytest.raises(CheckpointError, match="Missing key"):
        model.load_state_dict(state, strict=False)


def test_update_without_a_count_and_coding_without_tables_are_refused() -> None:
    model = make_split().eval()
    with pytest.raises(TableError, match=r"histogram is empty.*sc2-spic calibrate"):
        model.update()
    with pytest.raises(TableError, match=r"call `update\(\)` after training"):
        model.encode(make_images(1))


@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from(["flip", "cut", "insert", "random"]), st.booleans())
def test_a_damaged_payload_gives_wrong_symbols_or_a_clear_error(
    model: SplitModel, rng: random.Random, damage: str, is_large: bool
) -> None:
    payload = bytearray(model.encode(make_images(1, *SIZES[is_large]))["strings"][0][0])
    if damage == "flip":
        payload[rng.randrange(min(6, len(payload)))] ^= 1 << rng.randrange(8)
    elif damage == "cut":
        del payload[rng.randrange(len(payload)) :]
    elif damage == "insert":
        payload.insert(rng.randrange(len(payload)), rng.randrange(256))
    else:
        payload = bytearray(rng.choice([0, 1, 128, 129]).to_bytes() + rng.randbytes(rng.randrange(12)))
    try:
        assert model.decode([[bytes(payload)]], (1, 1)).shape == (1, 8)
    except BitstreamError as error:
        assert "again" in str(error) or "load the bank" in str(error) or "use" in str(error) or "check" in str(error)


def test_payloads_that_no_sender_writes_are_refused(model: SplitModel) -> None:
    code = model.encode(make_images(1))["strings"][0][0][1:]
    for payload, message in (
        (b"", "payload is empty"),
        (bytes([2]) + code, "names unit 2 .* 2 units"),
        (bytes([128, 3, 2, 2, 2]) + code, "3 sizes"),
        (bytes([128, 2, 0xFF, 0x1F, 0xFF, 0x1F]) + code, "far above this model's"),
    ):
        with pytest.raises(BitstreamError, match=message):
            model.decode([[payload]], (1, 1))
    with pytest.raises(BitstreamError, match="no payload"):
        model.decode([[]], (1, 1))


def test_a_payload_of_one_network_is_refused_by_a_network_that_cannot_take_its_sizes() -> None:
    network = make_network()
    network.avgpool = torch.nn.Identity()  # now the classifier takes one feature size only
    model = SplitModel(network, "layer3", {"unit": UNIT}, input_size=(3, 32, 32)).eval()
    observe(model, make_images(2))
    model.update()
    payload = model.encode(make_images(1))["strings"][0][0]
    with pytest.raises(BitstreamError, match="which the network cannot take"):
        model.decode([[bytes([128, 2, 9, 9]) + payload[1:]]], (1, 1))


class Bypassed(nn.Module):
    """Writes what passed the cut into what passed it by."""

    def __init__(self) -> None:
        super().__init__()
        self.main, self.side = (nn.Conv2d(3, 8, 3, 2, 1) for _ in range(2))
        self.cut, self.fc = nn.ReLU(), nn.Linear(8, 5)

    def forward(self, images: Tensor) -> Tensor:
        main = self.main(images)
        main.add_(self.cut(self.side(images)))
        return self.fc(main.mean((2, 3)))


@torch.no_grad()
def test_a_back_end_that_writes_into_what_passes_the_unit_spoils_no_second_use() -> None:
    units = {"fine": {**UNIT, "step": 0.05}, "coarse": UNIT}
    model = SplitModel(Bypassed().eval(), "cut", units, input_size=(3, 32, 32), allow_bypass=True).eval()
    for name in units:
        model.select(name)
        model.symbol_tables.observe(model.unit.encode(model.front_end(make_images(2))[0]))
    model.update()
    alone = {}
    for name in units:
        encoded = model.encode(make_images(1), name)
        alone[name] = model.decode(**encoded)
        assert torch.equal(model.decode(**encoded), alone[name])
    assert all(torch.equal(output, alone[name]) for name, output in model.answers(make_images(1)))


def test_images_that_no_receiver_would_accept_are_not_sent(model: SplitModel) -> None:
    with pytest.raises(ConfigError, match="more than 16 times"):
        model.encode(make_images(1, 32, 32 * 17))
    with pytest.raises(ConfigError, match="or 64 times as large"):
        model.encode(make_images(1, 32 * 9, 32 * 8))


def test_cuts_that_are_none_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sc2_spic_plugin.training.spic_models.build_network", lambda _config: make_network())
    for cut, message in (
        ("layer5", "no module `layer5`. Did you mean `layer"),
        ("layer4.0.conv2", "not a cut .* the output also reads"),
        ("fc", "features of shape"),
    ):
        with pytest.raises(CutError, match=message):
            spic_classifier({"key": "ResNet"}, cut=cut, unit=UNIT, input_size=[3, 32, 32])


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"unti": UNIT}, "unknown key `unti` for spic_classifier. Did you mean `unit`"),
        ({"unit": {**UNIT, "latent_chanels": 4}}, "unknown key `latent_chanels` .* `latent_channels`"),
        ({"unit": {"step": 1.0}}, "needs `latent_channels`"),
        ({"unit": {**UNIT, "step": 0}}, "step must be a positive number"),
        ({"unit_name": "low rate"}, "letters, digits and _"),
        ({"input_size": [3, 32]}, r"input_size must be \[channels, height, width\]"),
        ({"rate_estimator": {"key": "l2"}}, "Unknown rate estimator `l2`. Did you mean `l1`"),
        ({"rate_estimator": {"kwargs": {}}}, "`rate_estimator` needs a `key`"),
        ({"rate_estimator": {"kye": "l1"}}, "unknown key `kye` for `rate_estimator`. Did you mean `key`"),
        ({"distillation_layers": ["layer44"]}, "no module `layer44` behind the cut `layer2`. Did you mean `layer4`"),
        ({"distillation_layers": ["layer1"]}, "no module `layer1` behind the cut"),
        (
            {"analysis_config": {"analyzer_configs": [{"key": "SpicSizeAnalyser"}]}},
            "unknown analyzer `SpicSizeAnalyser`. Did you mean `SpicSizeAnalyzer`",
        ),
        ({"analysis_config": {"analyses_after_compress": True}}, "Did you mean `analyzes_after_compress`"),
        ({"tables": {"max_table": 4}}, "Did you mean `max_tables`"),
    ],
)
def test_what_a_config_gets_wrong_is_named_with_the_nearest_name(
    kwargs: dict, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sc2_spic_plugin.training.spic_models.build_network", lambda _config: make_network())
    arguments = {"cut": "layer2", "unit": UNIT, "input_size": [3, 32, 32], **kwargs}
    with pytest.raises(ConfigError, match=message):
        spic_classifier({"key": "ResNet"}, **arguments)


@pytest.mark.parametrize("missing", ["cut", "unit"])
def test_a_classifier_needs_cut_and_unit(missing: str) -> None:
    arguments = {"cut": "layer3", "unit": UNIT}
    del arguments[missing]
    with pytest.raises(ConfigError, match=f"needs `{missing}`"):
        spic_classifier({"key": "ResNet"}, **arguments)
    with pytest.raises(ConfigError, match="at least one unit"):
        SplitModel(make_network(), "layer3", {})


def test_a_network_frozen_beforehand_has_its_own_digest() -> None:
    digests = set()
    for seed in (0, 1):
        network = make_network(seed)
        before = SplitModel(make_network(seed), "layer2", {"unit": UNIT}, input_size=(3, 32, 32)).network_digest
        freeze_network(network)
        after = SplitModel(network, "layer2", {"unit": UNIT}, input_size=(3, 32, 32)).network_digest
        assert bytes(before.tolist()) == bytes(after.tolist())
        digests.add(bytes(after.tolist()))
    assert len(digests) == 2


def test_a_front_end_that_makes_a_tensor_of_its_own_is_split() -> None:
    class Tilted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.head = nn.Conv2d(3, 8, 3, 2, 1), nn.Linear(8, 5)

        def forward(self, image: Tensor) -> Tensor:
            image = image + torch.linspace(0, 1, image.shape[3])
            return self.head(torch.relu(self.first(image)).mean((2, 3)))

    model = SplitModel(Tilted().eval(), "first", {"unit": {"latent_channels": 4}}, input_size=(3, 32, 32))
    assert model.default_sizes[:2] == (16, 16)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_model_in_another_precision_decodes_what_it_encodes(dtype: torch.dtype) -> None:
    model = make_split()
    observe(model, make_images(8))
    model.update()
    model = model.eval().to(dtype)
    assert model.decode(**model.encode(make_images(2).to(dtype))).shape == (2, 8)
