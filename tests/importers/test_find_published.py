"""Finding released units: whole copies, parts of copies, and what is said of the parts that are missing."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from tiny_release import make_release, read_index, write_index

from sc2_spic_plugin.errors import CheckpointError, ConfigError
from sc2_spic_plugin.importers import check_rows, find_published_units

NAMES = ["segmentation/S1/0", "segmentation/S1/1", "segmentation/US1/0", "segmentation/US1/1"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_release(tmp_path_factory.mktemp("release"))


@pytest.fixture
def release(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "release")


def test_a_copy_its_task_folder_and_its_inner_folders_are_searched(whole: Path) -> None:
    units = find_published_units(whole)
    assert [unit.name for unit in units] == NAMES and units.skipped == ()
    assert units.units == find_published_units(whole / "Segmentation").units
    inner = find_published_units(whole / "Segmentation" / "weights" / "unsupervised")
    assert [unit.name for unit in inner] == NAMES[2:]
    assert [unit.supervision for unit in units] == ["supervised"] * 2 + ["unsupervised"] * 2
    assert units.named(NAMES[1]) is units[1] and {unit.cut for unit in units} == {"classifier.0.convs.1"}
    with pytest.raises(ConfigError, match="segmentation/S1/0"):
        units.named("segmentation/S1/7")


def test_missing_and_empty_files_are_named_or_skipped_and_reported(release: Path) -> None:
    gone = release / "Segmentation" / "weights" / "supervised" / "S1" / "model2.pth.tar"
    gone.unlink()
    empty = release / "Segmentation" / "freq_tab" / "unsupervised" / "S1" / "freq1.pickle"
    empty.write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"S1/1 \(.*model2\.pth\.tar\); .*US1/0 \(.*freq1\.pickle\)"):
        find_published_units(release)
    units = find_published_units(release, missing="skip")
    assert [unit.name for unit in units] == [NAMES[0], NAMES[3]]
    assert units.skipped == ((NAMES[1], (gone,)), (NAMES[2], (empty,)))
    with pytest.raises(ConfigError, match="lacks the files"):
        units.named(NAMES[1])
    shutil.rmtree(release / "Segmentation" / "weights")
    with pytest.raises(CheckpointError, match="no released unit: copy weights"):
        find_published_units(release, missing="skip")
    (release / "Classification").mkdir()
    with pytest.raises(CheckpointError, match=r"Classification has no dict\.yaml"):
        find_published_units(release)


def test_places_without_a_release_are_refused(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no folder at"):
        find_published_units(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="no copy of the released repository"):
        find_published_units(tmp_path)
    with pytest.raises(CheckpointError, match=r"is a file; .*single_published_unit"):
        find_published_units(whole / "Segmentation" / "dict.yaml")
    with pytest.raises(ConfigError, match="`skip`"):
        find_published_units(whole, missing="skipp")
    shutil.copytree(whole / "Segmentation", tmp_path / "mine" / "units")
    with pytest.raises(ConfigError, match="must be named Classification or Segmentation"):
        find_published_units(tmp_path / "mine" / "units")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda index: index["S1"]["0"].update(qp="much"), "S1/0: step .* 'much'"),
        (lambda index: index["S1"]["0"].update(stride_val=2.5), "stride"),
        (lambda index: index["S1"]["0"].update(out_chanel=2), "unknown key `out_chanel`. Did you mean `out_channel`"),
        (lambda index: index["S1"]["0"].pop("freq_file"), "lacks `freq_file`"),
        (lambda index: index["S1"]["0"].update(file_name="../../secret"), "no file below"),
        (lambda index: index["S1"]["0"].update(file_name="/etc/hostname"), "no file below"),
        (lambda index: index["S1"].update(one=index["S1"]["0"]), "number of a unit"),
        (lambda index: index.update(S9=index["S1"]), "split `S9`. Did you mean"),
        (lambda index: index.update(S1=None), "no units for split S1"),
        (lambda index: index["S1"].update({"0": None}), "S1/0: expected qp"),
    ],
)
def test_an_altered_index_is_refused_with_the_entry(change: Any, message: str, release: Path) -> None:
    index = read_index(release)
    change(index)
    write_index(release, index)
    with pytest.raises(ConfigError, match=message):
        find_published_units(release)


@pytest.mark.parametrize("text", ["", "S1: [", "!!python/object/apply:os.system ['touch ran']", "- 1"])
def test_an_index_that_is_no_plain_yaml_mapping_is_refused(
    text: str, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(release)
    write_index(release, text)
    with pytest.raises(ConfigError, match=r"dict\.yaml"):
        find_published_units(release)
    assert not (release / "ran").exists()


def test_rows_name_duplicates_bypasses_and_untrained_priors(whole: Path) -> None:
    rows = {row.name: row for row in check_rows(find_published_units(whole))}
    assert list(rows) == NAMES
    assert any("weights byte for byte those of segmentation/US1/0" in odd for odd in rows[NAMES[0]].oddities)
    assert not any("weights" in odd for name in (NAMES[1], NAMES[3]) for odd in rows[name].oddities)
    for row in rows.values():
        assert row.cut == "classifier.0.convs.1" and row.parameters == 25_604
        assert any(odd.startswith("bypassed split") for odd in row.oddities)
        assert any(odd.startswith("untrained prior") for odd in row.oddities)
        assert row.saving_percent == pytest.approx(100 * (1 - row.ideal_bpp / row.huffman_bpp))
