"""Tables in the checkpoint: counted in training, exact by calibration, changed in place only."""

import copy
import math
from pathlib import Path

import pytest
import torch
from bare_process import run_bare
from coding_latents import grouped_latents, sparse_latents

from sc2_spic_plugin.coding import ModeCoder, StaticCoder, SymbolTables
from sc2_spic_plugin.errors import CheckpointError, ConfigError, TableError

LATENTS = torch.from_numpy(sparse_latents(64, 4, 2, 3, position_spread=1.0))


def tables(**options: object) -> SymbolTables:
    return SymbolTables(4, (2, 3), alphabet_size=16, **options)  # type: ignore[arg-type]


def test_updated_tables_code_like_tables_fitted_to_the_same_symbols() -> None:
    module = tables(decay=1.0)
    for batch in LATENTS.split(16):
        module.observe(batch)
    assert not module.is_ready and module.update() and module.is_ready
    assert module.coder.digest == StaticCoder.fit(LATENTS, alphabet_size=16).digest
    assert module.coder is module.coder


def test_a_state_dict_brings_histogram_tables_and_flags_and_renews_the_coder() -> None:
    module, other = tables(), tables()
    module.observe(LATENTS)
    module.update()
    other.observe(LATENTS[:3])
    other.update()
    old = other.coder
    other.load_state_dict(module.state_dict(), strict=True)
    assert old is not other.coder and other.coder.digest == module.coder.digest != old.digest
    assert other.update() and other.coder.digest == module.coder.digest
    assert copy.deepcopy(module).coder.digest == module.coder.digest


def test_everything_works_in_place_under_inference_mode() -> None:
    module = tables()
    storage = {name: (buffer.data_ptr(), buffer.shape) for name, buffer in module.named_buffers()}
    with torch.inference_mode():
        module.observe(LATENTS)
        module.update()
        module.start_calibration()
        module.count(LATENTS)
        module.finish_calibration()
        module.load_state_dict(module.state_dict())
    module.observe(LATENTS)
    module.update()
    assert storage == {name: (buffer.data_ptr(), buffer.shape) for name, buffer in module.named_buffers()}
    assert not list(module.parameters())


def test_the_histogram_decays_and_follows_the_newest_batches() -> None:
    module = tables(decay=0.5)
    module.observe(torch.zeros(8, 4, 2, 3, dtype=torch.int64))
    module.observe(torch.ones(4, 4, 2, 3, dtype=torch.int64))
    assert (module.histogram[..., 0] == 4).all() and (module.histogram[..., 1] == 4).all()
    assert module.histogram.sum() == 8 * 4 * 6


def test_calibrated_tables_survive_update_until_training_goes_on() -> None:
    module = tables()
    module.observe(LATENTS[:5] * 3)
    module.start_calibration()
    for batch in LATENTS.split(20):
        module.count(batch)
    module.finish_calibration()
    exact = StaticCoder.fit(LATENTS, alphabet_size=16).digest
    assert module.coder.digest == exact
    assert not module.update() and module.coder.digest == exact
    loaded = tables()
    loaded.load_state_dict(module.state_dict())
    assert not loaded.update() and loaded.coder.digest == exact
    assert loaded.update(force=True) and loaded.coder.digest != exact
    module.observe(LATENTS[:5])
    assert module.update() and module.coder.digest != exact


def test_shared_counts_need_no_data_and_are_kept_until_something_is_counted() -> None:
    module = tables()
    module.install_shared_counts({0: 7, 1: 1})
    assert module.is_ready and not module.update() and len(module.coder.frequencies) == 1
    bits = [module.coder.ideal_bits(torch.full((4, 2, 3), value)) / 24 for value in (0, 1)]
    assert bits == pytest.approx([-math.log2(7.5 / 16.5), -math.log2(1.5 / 16.5)], abs=1e-3)  # half a count each
    odd = torch.tensor([0, 5, 15, 16, -3, 10**6]).repeat(4).view(4, 2, 3)
    assert torch.equal(module.coder.decode(module.coder.encode(odd), odd.shape), odd.int())
    assert torch.equal(module.coder.decode(module.coder.encode(odd[:, :1]), (4, 1, 3)), odd[:, :1].int())
    loaded = tables()
    loaded.load_state_dict(module.state_dict())
    assert loaded.coder.digest == module.coder.digest
    module.start_calibration()
    module.count(LATENTS)
    module.finish_calibration()
    assert module.coder.digest == StaticCoder.fit(LATENTS, alphabet_size=16).digest
    loaded.observe(LATENTS)
    assert loaded.update()


@pytest.mark.parametrize(
    ("counts", "message"),
    [({}, "one symbol or more"), ({0: 0}, "counted from 1"), ({16: 1}, "`alphabet_size: 17`"), ({-1: 1}, "symbols -1")],
)
def test_shared_counts_without_a_place_are_refused_and_change_nothing(counts: dict, message: str) -> None:
    module = tables()
    with pytest.raises(TableError, match=message):
        module.install_shared_counts(counts)
    assert not module.is_ready


def test_latents_of_another_size_are_counted_per_channel() -> None:
    module = tables()
    module.observe(LATENTS[:, :, :1, :2])
    assert not module.histogram.any() and module.channel_histogram.sum() == LATENTS[:, :, :1, :2].numel()
    module.update()
    assert torch.equal(module.coder.decode(module.coder.encode(LATENTS[0]), LATENTS.shape[1:]), LATENTS[0])


def test_what_is_no_symbol_of_the_alphabet_is_counted_as_escape() -> None:
    module = tables()
    module.observe(torch.tensor([-1, 16, 10**6, 15]).view(4, 1, 1, 1).expand(4, 4, 2, 3))
    assert (module.histogram[..., 16] == 3).all() and (module.histogram[..., 15] == 1).all()
    wide = SymbolTables(4, (2, 3), alphabet_size=300)
    wide.observe(torch.full((1, 4, 2, 3), 255, dtype=torch.uint8))
    assert (wide.histogram[..., 255] == 1).all()


def test_too_many_contexts_get_tables_per_channel() -> None:
    module = SymbolTables(512, (64, 64), alphabet_size=8)
    latent = torch.zeros(2, 512, 64, 64, dtype=torch.int32)
    latent[:, ::2] = 1
    module.observe(latent)
    module.update()
    assert module.histogram.shape == (512, 1, 9) and module.coder.assignment.shape == (512, 0)
    assert torch.equal(module.coder.decode(module.coder.encode(latent[0]), latent.shape[1:]), latent[0])


def test_a_histogram_that_saw_few_images_often_counts_them_once() -> None:
    test = sparse_latents(200, 4, 2, 3, seed=0, position_spread=0.0)
    few = torch.from_numpy(sparse_latents(30, 4, 2, 3, seed=0, position_spread=0.0))
    limited, unlimited = tables(training_images=30), tables()
    for module in (limited, unlimited):
        for _ in range(100):
            module.observe(few)
        module.update()
    bits = [sum(module.coder.ideal_bits(latent) for latent in test) for module in (limited, unlimited)]
    assert bits[0] < bits[1]


def test_an_empty_histogram_and_missing_tables_say_what_to_do() -> None:
    module = tables()
    with pytest.raises(TableError, match="train the unit, or run `sc2-spic calibrate`"):
        module.update()
    with pytest.raises(TableError, match="call `update"):
        _ = module.coder
    with pytest.raises(TableError, match="start_calibration"):
        module.count(LATENTS)
    module.start_calibration()
    with pytest.raises(TableError, match="no symbol was counted"):
        module.finish_calibration()


def test_a_checkpoint_of_another_shape_is_refused_with_both_shapes() -> None:
    with pytest.raises(CheckpointError, match=r"\(8, 6, 17\) in the checkpoint, \(4, 6, 17\) here"):
        tables().load_state_dict(SymbolTables(8, (2, 3), alphabet_size=16).state_dict())


@pytest.mark.parametrize("symbols", [torch.zeros(1, 4, 2, 3), torch.zeros(1, 4, 2, 3, dtype=torch.bool)])
def test_only_integers_are_observed(symbols: torch.Tensor) -> None:
    with pytest.raises(TableError, match="must be integers"):
        tables().observe(symbols)
    with pytest.raises(TableError, match=r"expected \(B, 4, h, w\)"):
        tables().observe(symbols[:, :3].int())


@pytest.mark.parametrize("options", [{"decay": 0.0}, {"max_tables": 300}, {"training_images": 0}])
def test_arguments_that_make_no_sense_are_refused(options: dict) -> None:
    with pytest.raises(ConfigError):
        tables(**options)


ONE_OF_TWO_RANKS = """
import torch
from coding_latents import grouped_latents, sparse_latents
from sc2_spic_plugin.coding import SymbolTables
rank, folder = {rank}, {folder!r}
torch.distributed.init_process_group("gloo", init_method=f"file://{{folder}}/store", rank=rank, world_size=2)
latents = torch.from_numpy(sparse_latents(64, 4, 2, 3, position_spread=1.0))
module = SymbolTables(4, (2, 3), alphabet_size=16, decay=0.5)
for batch in latents.chunk(2):
    module.observe(batch.chunk(2)[rank])
module.start_calibration()
module.count(latents.chunk(2)[rank])
module.finish_calibration()
torch.save(module.state_dict(), f"{{folder}}/{{rank}}.pt")
module, latents = SymbolTables(6, (2, 3), alphabet_size=16, modes=4), torch.from_numpy(grouped_latents(400, (6, 2, 3)))
module.start_calibration()
module.count(latents.chunk(2)[rank])
module.finish_calibration()
torch.save(module.state_dict(), f"{{folder}}/{{rank}}.modes.pt")
torch.distributed.destroy_process_group()
"""


def test_two_ranks_together_count_what_one_counts(tmp_path: Path) -> None:
    run_bare([ONE_OF_TWO_RANKS.format(rank=rank, folder=str(tmp_path)) for rank in range(2)])
    alone = tables(decay=0.5)
    for batch in LATENTS.chunk(2):
        alone.observe(batch)
    alone.start_calibration()
    alone.count(LATENTS)
    alone.finish_calibration()
    with_modes = SymbolTables(6, (2, 3), alphabet_size=16, modes=4)
    with_modes.start_calibration()
    with_modes.count(torch.from_numpy(grouped_latents(400, (6, 2, 3))))
    with_modes.finish_calibration()
    assert isinstance(with_modes.coder, ModeCoder)
    for module, name in ((alone, "{}.pt"), (with_modes, "{}.modes.pt")):
        for rank in range(2):
            state = torch.load(tmp_path / name.format(rank), weights_only=True)
            assert all(torch.equal(state[key], buffer) for key, buffer in module.state_dict().items())
