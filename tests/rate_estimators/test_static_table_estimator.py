"""The static-table estimator: a running table, and code lengths that are those of a static coder."""

import pytest
import torch

from sc2_spic_plugin.errors import ConfigError
from sc2_spic_plugin.rate_estimators import StaticTableRateEstimator, build_rate_estimator


def symbols_like_a_latent(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.round(2 * torch.randn(shape, generator=torch.Generator().manual_seed(seed)).relu())


def table_after(latent: torch.Tensor, **arguments) -> StaticTableRateEstimator:
    estimator = build_rate_estimator("static_table", channels=latent.shape[1], **arguments)
    estimator(latent)
    return estimator


def test_bits_are_the_code_length_of_the_symbols_under_their_own_counts():
    latent = symbols_like_a_latent(500, 3, 2, 2)
    bits = table_after(latent).eval()(latent).bits.sum()
    ideal = 0.0
    for channel in range(3):
        counts = torch.bincount(latent[:, channel].flatten().long()).double()
        ideal -= (counts * (counts / counts.sum()).log2())[counts > 0].sum()
    assert bits >= ideal - 1e-3 * ideal  # no table beats the empirical entropy of what it counted
    torch.testing.assert_close(bits.double(), ideal, rtol=2e-3, atol=0)


def test_the_probabilities_of_a_table_never_exceed_one_and_all_code_lengths_are_finite():
    for latent in (symbols_like_a_latent(9, 3, 2, 2), torch.zeros(500, 3, 2, 2), torch.full((2, 3, 2, 2), 900.0)):
        for positions in (False, True):
            table = table_after(latent, positions=positions, latent_size=(2, 2)).code_lengths()
            assert table.bits.isfinite().all() and table.slopes.isfinite().all() and (table.bits >= 0).all()
            torch.testing.assert_close(torch.exp2(-table.bits).sum(-1), torch.ones(3, 4 if positions else 1))


def test_a_position_has_its_own_table_backed_off_to_its_channels():
    latent = symbols_like_a_latent(4000, 2, 1, 2)
    latent[..., 1] = 0
    shared = table_after(latent, latent_size=(1, 2)).eval()(latent).bits.mean()
    own = table_after(latent, latent_size=(1, 2), positions=True)
    assert own.counts.shape == (2, 2, 64)
    assert own.eval()(latent).bits.mean() < 0.8 * shared
    thin = table_after(latent[:1], latent_size=(1, 2), positions=True, position_smoothing=1e6).code_lengths().bits
    torch.testing.assert_close(thin, thin[:, :1].expand_as(thin), rtol=1e-3, atol=1e-3)


def test_before_anything_is_counted_each_unit_costs_one_bit_more():
    estimator = build_rate_estimator("static_table", channels=2)
    table = estimator.code_lengths()
    torch.testing.assert_close(table.slopes[..., :-2], torch.ones(2, 1, 62), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("mode", ["straight_through", "interpolated", "smoothed"])
def test_the_gradient_is_the_slope_of_the_table(mode):
    estimator = table_after(symbols_like_a_latent(300, 1, 1, 1), mode=mode, decay=1.0)
    estimator.counts *= 1e6  # so that the probes below do not change the table
    table = estimator.code_lengths().bits[0, 0]
    latent = torch.tensor([0.25, 1.25, 2.75]).view(3, 1, 1, 1).requires_grad_()
    bits = estimator(latent).bits
    bits.sum().backward()
    slopes = table.diff()
    lines = torch.stack([slopes[0], slopes[1], slopes[2]])
    averaged = torch.stack([0.75 * slopes[0], 0.75 * slopes[1] + 0.25 * slopes[0], 0.75 * slopes[2] + 0.25 * slopes[3]])
    torch.testing.assert_close(latent.grad.flatten(), averaged if mode == "smoothed" else lines, rtol=1e-3, atol=1e-3)
    between = table[:3] + torch.tensor([0.25, 0.25, 0.75]) * lines
    expected = between if mode == "interpolated" else table[[0, 1, 3]]
    torch.testing.assert_close(bits.detach(), expected, rtol=1e-3, atol=1e-3)


def test_each_unit_beyond_the_alphabet_costs_the_same_number_of_bits_more():
    estimator = table_after(symbols_like_a_latent(300, 1, 1, 1), alphabet=8).eval()
    bits = estimator(torch.tensor([7.0, 8.0, 9.0, 19.0]).view(4, 1, 1, 1)).bits
    beyond = estimator.code_lengths().slopes[0, 0, -1]
    assert beyond > 0
    torch.testing.assert_close(bits - bits[0], beyond * torch.tensor([0.0, 1, 2, 12]))


def test_values_below_the_offset_cost_what_the_offset_costs_and_get_no_gradient():
    for offset in (0, -3):
        estimator = table_after(symbols_like_a_latent(300, 1, 1, 1), offset=offset).eval()
        latent = torch.tensor([offset, offset - 0.8, offset - 7.0]).view(3, 1, 1, 1).requires_grad_()
        bits = estimator(latent).bits
        bits.sum().backward()
        assert bits.unique().numel() == 1
        assert latent.grad.flatten()[1:].tolist() == [0, 0]


def test_counts_change_in_place_in_training_and_never_in_eval_mode():
    estimator = table_after(symbols_like_a_latent(30, 3, 2, 2))
    place, before = estimator.counts.data_ptr(), estimator.counts.clone()
    with torch.inference_mode():
        estimator.eval()(symbols_like_a_latent(30, 3, 2, 2, seed=1))
    assert torch.equal(estimator.counts, before)
    with torch.no_grad():
        estimator.train()(symbols_like_a_latent(30, 3, 2, 2, seed=1))
    assert not torch.equal(estimator.counts, before)
    assert estimator.counts.data_ptr() == place and estimator.counts.shape == before.shape


def test_counts_are_a_decayed_sum_of_the_batches_symbols():
    first, second = torch.zeros(4, 1, 1, 1), torch.full((4, 1, 1, 1), 2.0)
    estimator = table_after(first, decay=0.5)
    estimator(second)
    assert estimator.counts[0, 0, :4].tolist() == [2, 0, 4, 0]


def test_counts_are_summed_over_the_ranks_of_a_distributed_run(monkeypatch):
    latent = symbols_like_a_latent(30, 3, 2, 2)
    alone = table_after(latent).counts
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 3)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 0)
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda counts: counts.mul_(3))  # two more ranks, same batch
    assert torch.equal(table_after(latent).counts, 3 * alone)


def test_the_table_follows_a_source_that_moves():
    estimator = build_rate_estimator("static_table", channels=1, decay=0.9)
    for value in (1.0, 5.0):
        latent = torch.full((32, 1, 1, 1), value)
        for _ in range(100):
            estimator(latent)
        assert estimator(latent).bits.mean() < 0.01


def test_training_needs_no_value_on_the_host():
    """A meta tensor has no data: whatever reads one back (a sync on a GPU) raises."""
    estimator = build_rate_estimator("static_table", channels=4, positions=True, latent_size=(2, 2)).to("meta")
    assert estimator(torch.zeros(3, 4, 2, 2, device="meta")).bits.shape == (3,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"positions": True}, "latent_size"),
        ({"mode": "straigth_through"}, "straight_through"),
        ({"alphabet": 1}, "two symbols"),
        ({"decay": 1.5}, "between 0 and 1"),
        ({"smoothing": 0.0}, "above 0"),
    ],
)
def test_settings_that_cannot_work_are_errors_that_say_why(arguments, message):
    with pytest.raises(ConfigError, match=message):
        build_rate_estimator("static_table", channels=4, **arguments)


def test_a_latent_of_another_size_than_the_positions_is_an_error():
    estimator = build_rate_estimator("static_table", channels=4, positions=True, latent_size=(2, 2))
    with pytest.raises(ConfigError, match=r"\(2, 2\) and got \(3, 2\)"):
        estimator(torch.zeros(1, 4, 3, 2))
