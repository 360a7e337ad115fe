"""Tables: what shares one, what stands in it, and what a dash means."""

import dataclasses

import pytest

from sc2_spic_plugin.errors import DataError
from sc2_spic_plugin.leaderboard import ResultFile, render_console, render_markdown


def _rows(markdown: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in markdown.splitlines() if line[:1] == "|"
    ]


def _console(tables: list, width: int = 200) -> str:
    from rich.console import Console

    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    for table in tables:
        console.print(table)
    return console.export_text()


def test_every_point_is_one_row_with_as_many_cells_as_there_are_headings(board) -> None:
    rows = _rows(render_markdown(board))
    assert len(rows) == 2 + sum(len(result.points) for result in board)
    assert {len(row) for row in rows} == {len(rows[0])}
    assert rows[2][0] == "original network" and rows[3][0] == "send the label"


def test_a_row_states_accuracy_interval_rate_sizes_and_ratios(board) -> None:
    heading, _, *rows = _rows(render_markdown(board))
    row = dict(
        zip(heading, next(r for r in rows if r[0] == "SPIC (supervised)" and r[2].startswith("u1")), strict=True)
    )
    assert row["Top-1 %"] == "85.20 [84.1, 86.2]" and row["bpp"] == "0.0187" and row["Payload B"] == "60.0"
    assert row["Code B"] == "59.0" and row["Harness KB"] == "0.160" and row["Encoder KB"] == "29,116"
    assert row["Point"] == r"u1 \*"
    jpeg = 1545 * (2973 / 1545) ** ((85.2 - 83.7) / (86.5 - 83.7))
    assert float(row["JPEG ÷ this"]) == pytest.approx(jpeg / 60, abs=0.05)


def test_what_was_not_measured_or_cannot_be_compared_is_a_dash(board) -> None:
    heading, _, *rows = _rows(render_markdown(board))
    original = dict(zip(heading, rows[0], strict=True))
    assert original["Top-1 %"].startswith("87.50")
    assert {original[name] for name in ("bpp", "Payload B", "Code B", "Harness KB", "JPEG ÷ this")} == {"–"}  # noqa: RUF001
    jpeg = dict(zip(heading, next(row for row in rows if row[0] == "JPEG"), strict=True))
    assert jpeg["JPEG ÷ this"] == "–" and jpeg["Split"] == "–"  # noqa: RUF001


@pytest.mark.parametrize("field", ["protocol", "dataset", "network", "network_sha256", "protocol_sha256"])
def test_results_of_different_protocols_data_sets_or_networks_never_share_a_table(make_result, field: str) -> None:
    results = [make_result(), make_result("jpeg", **{field: "other"})]
    text = render_markdown(results)
    assert text.count("## ") == 2 and len(render_console(results)) == 2
    first, second = (part.splitlines()[0] for part in text.split("## ")[1:])
    assert first != second


def test_every_heading_is_explained_in_one_line(board) -> None:
    text = render_markdown(board)
    for heading in _rows(text)[0]:
        assert text.count(f"- **{heading}**: ") == 1


def test_bypassed_and_published_rows_are_marked_and_stay_off_the_front(make_result) -> None:
    cheat = make_result("spic_l1", [(1.0, 98.0)], bypassed=True)
    text = render_markdown([cheat, make_result(), make_result("spic", [(0.5, 98.5)], bits="published")])
    rows = _rows(text)[2:]
    assert ["SPIC, l1 (bypassed)", "u0"] in [row[:2] for row in rows]
    assert ["SPIC (as published)", "u0"] in [row[:2] for row in rows]
    assert sum("\\*" in row[1] for row in rows) == 3
    assert "except where a row says otherwise" in text


def _segmentation(make_result, **extra: object) -> ResultFile:
    result = make_result(rates=[(100.0, 60.0)], bypassed=True)
    point = dataclasses.replace(result.points[0], top1=None, miou=60.0, extra=extra)
    meta = dataclasses.replace(result.meta, task="segmentation")
    return ResultFile("spic", "", [point], meta)


def test_bypassed_segmentation_rows_are_marked(make_result) -> None:
    rows = _rows(render_markdown([_segmentation(make_result)]))
    assert "mIoU %" in rows[0] and rows[2][0] == "SPIC (bypassed)" and "\\*" not in rows[2][1]


def test_both_conventions_of_the_mean_iou_are_shown_where_they_differ(make_result) -> None:
    alike = _segmentation(make_result, miou_all_classes=60.0, miou_present_classes=60.0)
    assert not any("all" in heading or "present" in heading for heading in _rows(render_markdown([alike]))[0])
    absent = _segmentation(make_result, miou_present_classes=66.0)
    headings, _, cells = _rows(render_markdown([absent]))
    shown = dict(zip(headings, cells, strict=True))
    assert shown["mIoU present %"] == "66.00" and "mIoU all %" in shown and shown["mIoU all %"] == "\N{EN DASH}"


def test_bytes_of_a_released_coder_are_shown_beside_ours(make_result) -> None:
    result = make_result(rates=[(100.0, 60.0)])
    extra = {"huffman_bytes": 120.0, "huffman_bytes_unknown": 2, "same_table_bytes": 105.25, "escapes": 0.5}
    point = dataclasses.replace(result.points[0], extra=extra)
    result = dataclasses.replace(result, points=[point])
    headings, _, cells = _rows(render_markdown([result]))
    shown = dict(zip(headings, cells, strict=True))
    assert shown["Huffman B"] == "120.0 (2 without)" and shown["Same-table B"] == "105.2" and shown["Escapes"] == "0.50"
    narrow = _console(render_console([result], width=70), 70)
    assert "Left out for lack of width: Escapes, Same-table B" in " ".join(narrow.split())


def test_points_of_several_seeds_are_one_row_of_means_with_what_the_seeds_span(make_result) -> None:
    result = make_result(rates=[(10.0, 80.0)])
    other = dataclasses.replace(result.points[0], seed=1, top1=81.0, payload_bytes=12.0)
    text = render_markdown([dataclasses.replace(result, points=[*result.points, other])])
    heading, _, *rows = _rows(text)
    (row,) = (dict(zip(heading, row, strict=True)) for row in rows)
    assert row["Point"] == r"u0 \*" and row["Top-1 %"] == "80.50 (80.00 to 81.00, 2 seeds)"
    assert row["Payload B"] == "11.0" and "of several seeds the mean" in text


def test_costs_are_shown_where_a_point_has_them(make_result) -> None:
    result = make_result(rates=[(10.0, 80.0)])
    point = dataclasses.replace(
        result.points[0], encoder_macs=2.5e9, encode_ms=12.34, extra={"frozen_kilobytes": 900.0}
    )
    heading, _, row = _rows(render_markdown([dataclasses.replace(result, points=[point])]))
    shown = dict(zip(heading, row, strict=True))
    assert (shown["Encoder MMACs"], shown["Encode ms"], shown["Frozen KB"]) == ("2,500", "12.3", "900")
    assert "Decode ms" not in shown and "Server MMACs" not in shown


def test_signs_that_markdown_would_read_are_escaped(make_result) -> None:
    rows = _rows(render_markdown([make_result("a|b*c")]))
    assert rows[2][0] == r"a\|b\*c"


def test_the_console_shows_the_same_cells_and_leaves_out_named_columns_where_the_line_is_short(board) -> None:
    wide = _console(render_console(board))
    assert "85.20 [84.1, 86.2]" in wide and "Harness KB" in wide and "Left out" not in wide
    narrow = _console(render_console(board, width=110), 110)
    assert "Left out for lack of width: Entropic Student ÷ this" in narrow and "29,116" not in narrow
    assert "85.20 [84.1, 86.2]" in narrow and "Harness KB" in narrow


def test_a_table_of_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="evaluate a method first"):
        render_markdown([])
