"""SPIC with its hyperprior kept: the same symbols through another coder, which conditions on a coded hyper-latent."""

import copy
import math

import pytest
import torch
from tiny_parts import make_images, make_student
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from sc2_spic_plugin.coding.integer_synthesis import IntegerSynthesis
from sc2_spic_plugin.errors import BitstreamError, ConfigError, TableError
from sc2_spic_plugin.leaderboard import Protocol, TimingRules
from sc2_spic_plugin.leaderboard.costs.point_costs import measure_costs
from sc2_spic_plugin.leaderboard.costs.sides import sides_of
from sc2_spic_plugin.leaderboard.costs.spending import CODING, DEVICE, SERVER, spending
from sc2_spic_plugin.models.exporting import export_halves
from sc2_spic_plugin.models.unit_files import export_unit
from sc2_spic_plugin.rate_estimators import RateEstimator, build_rate_estimator
from sc2_spic_plugin.rate_estimators.quick_bottleneck import QuickEntropyBottleneck
from sc2_spic_plugin.training import SpicModel
from sc2_spic_plugin.training.kept_hyperprior import hyperprior_coder

KINDS = ("scale_hyperprior", "mean_scale_hyperprior")
CHANNELS, SIZE = 8, (6, 5)


def symbols_of_two_kinds(images: int, seed: int = 0) -> Tensor:
    """Rounded magnitudes whose scale differs from image to image: what a hyper-latent is for."""
    generator = torch.Generator().manual_seed(seed)
    scales = torch.tensor([0.3, 6.0])[torch.randint(2, (images, 1, 1, 1), generator=generator)]
    return torch.round(torch.randn(images, CHANNELS, *SIZE, generator=generator).abs() * scales)


@pytest.fixture(scope="module", params=KINDS)
def trained(request: pytest.FixtureRequest) -> RateEstimator:
    estimator = build_rate_estimator(request.param, channels=CHANNELS, seed=0)
    optimizer = torch.optim.Adam(estimator.parameters(), lr=1e-2)
    for step in range(250):
        loss = estimator(symbols_of_two_kinds(16, step)).bits.mean() + estimator.aux_loss()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return estimator.eval()


def test_codes_are_as_long_as_the_estimator_says_and_come_back(trained: RateEstimator):
    """A percent for scales and means on a grid and weights in whole numbers, a byte for whole bytes."""
    coder, symbols = hyperprior_coder(trained), symbols_of_two_kinds(40, 9999)
    with torch.no_grad():
        estimated = trained(symbols).bits
    for of_image, bits in zip(symbols.int(), estimated, strict=True):
        code = coder.encode(of_image)
        assert torch.equal(coder.decode(code, tuple(of_image.shape)), of_image)
        assert 8 * len(code) == pytest.approx(coder.ideal_bits(of_image), abs=9)
        assert coder.ideal_bits(of_image) == pytest.approx(float(bits), rel=0.02, abs=6)


def test_it_is_no_longer_than_compressais_coder(trained: RateEstimator):
    """compressai codes means in the symbols' place and cannot keep them fractional, so integers meet integer means."""
    coder, symbols = hyperprior_coder(trained), symbols_of_two_kinds(40, 777)
    trained.conditional.update_scale_table([math.exp(-2.25 + 0.125 * level) for level in range(64)])
    trained.hyper_density.update(force=True)
    with torch.no_grad():
        hyper = trained.analysis(symbols).round()
        predicted = trained.synthesis(hyper, SIZE)
        log_scales, means = predicted.chunk(2, 1) if trained.predicts_mean else (predicted, torch.zeros_like(predicted))
        indexes = trained.conditional.build_indexes(log_scales.exp())
        theirs = trained.conditional.compress(symbols, indexes, means.round())
        medians = trained.hyper_density._get_medians().view(1, -1, 1, 1)
        side = trained.hyper_density.compress((hyper - medians).round() + medians)
    ours = sum(len(coder.encode(of_image)) for of_image in symbols.int())
    assert ours <= sum(len(a) + len(b) for a, b in zip(theirs, side, strict=True))


def test_other_sizes_and_wild_values_come_back(trained: RateEstimator):
    coder = hyperprior_coder(trained)
    for height, width in ((1, 1), (4, 4), (9, 3)):
        symbols = torch.randint(0, 5, (CHANNELS, height, width), dtype=torch.int32)
        symbols[0, 0, 0], symbols[-1, -1, -1] = 2**31 - 1, -(2**31)
        assert torch.equal(coder.decode(coder.encode(symbols), tuple(symbols.shape)), symbols)
    with pytest.raises(BitstreamError, match="for 8 channels"):
        coder.decode(b"abc", (3, 4, 4))
    with pytest.raises(TableError, match="have 3 channels"):
        coder.encode(torch.zeros(3, 4, 4, dtype=torch.int32))


def test_the_synthesis_is_exact_in_whatever_order_it_adds(trained: RateEstimator):
    """The same network with its hyper-channels permuted adds in another order; every table must stay the same."""
    synthesis, generator = hyperprior_coder(trained).synthesis, torch.Generator().manual_seed(3)
    arrays = synthesis.to_arrays()
    order = torch.randperm(synthesis.hyper_channels, generator=generator).numpy()
    weights = [arrays[f"weight{number}"] / 4096 for number in range(3)]
    offsets = [arrays[f"offset{number}"] / 4096**2 for number in range(3)]
    permuted = IntegerSynthesis(
        [weights[0][order][:, order], weights[1][order][:, order], weights[2][:, order]],
        [offsets[0][order], offsets[1][order], offsets[2]],
        CHANNELS,
    )
    for scale in (2, 40):
        hyper = torch.randint(-scale, scale, (synthesis.hyper_channels, 2, 2), generator=generator).int().numpy()
        mine, theirs = synthesis(hyper, SIZE), permuted(hyper[order], SIZE)
        assert (mine.levels == theirs.levels).all() and (mine.means == theirs.means).all()


def test_weights_that_cannot_be_summed_exactly_are_refused(trained: RateEstimator):
    estimator = build_rate_estimator("scale_hyperprior", channels=CHANNELS, seed=0)
    for value in (1e9, math.nan):
        estimator.synthesis.first.weight.data.fill_(value)
        with pytest.raises(TableError, match="too large"):
            hyperprior_coder(estimator)


def kept(**kwargs) -> SpicModel:
    return make_student(rate_estimator={"key": "mean_scale_hyperprior"}, **kwargs)


def test_the_answers_are_those_of_the_static_coder_and_the_bytes_are_not():
    images = make_images(4)
    static, hyper = kept(), kept(coder="hyperprior")
    for model in (static, hyper):
        for _ in range(3):
            model.train()(images)
    hyper.load_state_dict(static.state_dict())
    with pytest.raises(TableError, match=r"call `update\(\)`"):
        hyper.eval().encode(images)
    outputs, payloads = [], []
    for model in (static, hyper):
        model.eval().update()
        outputs.append(model(images))
        payloads.append(model.encode(images)["strings"][0])
    assert torch.equal(*outputs)
    assert payloads[0] != payloads[1]
    assert torch.equal(hyper.decode([payloads[1]], (2, 2)), outputs[0])


def test_what_is_shipped_counts_networks_and_tables_of_the_hyper_latent():
    model = kept(coder="hyperprior")
    model.train()(make_images(4))
    model.eval().update()
    coder, analysis = model.coder_of("unit"), model.rate_estimator.analysis
    weights = 4 * sum(weight.numel() for weight in analysis.parameters())
    assert coder.table_bytes == coder.side.table_bytes + coder.synthesis.stored_bytes + weights
    assert coder.synthesis.stored_bytes > 4 * model.rate_estimator.synthesis.last.weight.numel()


def test_a_kept_hyperprior_costs_the_device_both_its_networks_and_the_server_the_synthesis():
    images = make_images(2)
    static, hyper = kept(), kept(coder="hyperprior")
    static.train()(images)
    hyper.load_state_dict(static.state_dict())
    protocol = Protocol(
        name="p", resize=32, crop=32, denominator=(32, 32), selection="a", report="b", threads=1,
        timing=TimingRules(warm_up=0, repeats=1),
    )  # fmt: skip
    before, after = (measure_costs(model.eval(), images, protocol, is_timed=False) for model in (static, hyper))
    sides = sides_of(hyper)
    with (
        FlopCounterMode(display=False) as counter,
        spending(sides.switches, sides.begins, counter.get_total_flops) as pass_,
    ):
        hyper(images)
    assert pass_.spent[DEVICE, CODING] == pass_.spent[SERVER, CODING] == 0, "networks are not booked as coding"
    estimator = hyper.rate_estimator
    stored = [tensor for part in (estimator.analysis, estimator.synthesis) for tensor in part.state_dict().values()]
    added = sum(tensor.numel() * tensor.element_size() for tensor in stored) / 1024
    assert after.encoder_kilobytes == pytest.approx(before.encoder_kilobytes + added)
    assert after.frozen_kilobytes == before.frozen_kilobytes
    synthesis = after.server_macs - before.server_macs
    analysis = after.encoder_macs - before.encoder_macs - synthesis
    height, width = hyper.unit.latent_size(hyper.feature_size)
    last = estimator.synthesis.last.weight.numel() * height * width
    first = estimator.analysis.layers[0].weight.numel() * height * width
    assert last < synthesis < 2 * last and first < analysis < 2 * first


def test_codes_are_made_with_another_digest_once_either_side_of_the_hyperprior_changes(trained: RateEstimator):
    changed = [copy.deepcopy(trained) for _ in range(2)]
    changed[0].synthesis.last.weight.data[0, 0, 0, 0] += 1.0
    next(changed[1].hyper_density.matrices.parameters()).data.add_(0.1)
    digests = {hyperprior_coder(estimator).digest for estimator in (trained, *changed, copy.deepcopy(trained))}
    assert len(digests) == 3


def test_tables_of_the_hyper_latent_do_not_hang_on_the_last_bit_of_the_arithmetic(
    trained: RateEstimator, monkeypatch: pytest.MonkeyPatch
):
    logits_here = QuickEntropyBottleneck._logits_cumulative

    def logits_elsewhere(self: QuickEntropyBottleneck, inputs: Tensor, stop_gradient: bool) -> Tensor:
        logits = logits_here(self, inputs, stop_gradient)
        return logits * (1 + torch.finfo(logits.dtype).eps)

    digest = hyperprior_coder(trained).side.digest
    monkeypatch.setattr(QuickEntropyBottleneck, "_logits_cumulative", logits_elsewhere)
    assert hyperprior_coder(trained).side.digest == digest


def test_a_unit_that_has_no_hyperprior_is_not_added_where_hyperpriors_are_kept():
    model, other = kept(coder="hyperprior"), kept()
    with pytest.raises(ConfigError, match="has tables and no hyperprior"):
        model.add_unit("late", other.units["unit"], other.tables["unit"], other.unit_arguments["unit"])
    assert list(model.units) == list(model.tables) == list(model.rate_estimators) == ["unit"]


def test_a_coder_without_a_hyperprior_is_refused():
    with pytest.raises(ConfigError, match="trained with `static_table`, which no coder can condition on"):
        make_student(rate_estimator={"key": "static_table"}, coder="hyperprior")
    with pytest.raises(ConfigError, match="Did you mean `hyperprior`"):
        make_student(rate_estimator={"key": "mean_scale_hyperprior"}, coder="hyperprio")


def test_units_whose_hyperprior_is_kept_are_not_exported_as_if_tables_coded_them(tmp_path):
    model = kept(coder="hyperprior")
    model.train()(make_images(4))
    model.eval().update()
    for export in (
        lambda: export_unit(model, "unit", tmp_path),
        lambda: export_halves(model, tmp_path / "halves", "classification"),
    ):
        with pytest.raises(ConfigError, match="a kept hyperprior cannot be exported"):
            export()
    assert not list(tmp_path.iterdir())
