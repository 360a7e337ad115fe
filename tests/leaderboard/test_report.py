"""The report: self-contained, safe with hostile names, and at work in a headless browser."""

import html
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_up_board import IMAGES, made_up_board

from sc2_spic_plugin.errors import DataError
from sc2_spic_plugin.leaderboard import PublishedCurve, Source, collect_results, group_of
from sc2_spic_plugin.leaderboard.comparison.link import end_to_end_ms
from sc2_spic_plugin.leaderboard.comparison.tradeoff import encoder_times_rate
from sc2_spic_plugin.leaderboard.report import render_report
from sc2_spic_plugin.leaderboard.results.curve import build_curves

SHOWN = "made-up-64"


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> list[Source]:
    return collect_results([made_up_board(tmp_path_factory.mktemp("board"))]).sources


@pytest.fixture(scope="module")
def page(sources: list[Source]) -> str:
    group = next(group_of(source.result) for source in sources if source.result.meta.protocol == SHOWN)
    curve = PublishedCurve("SPIC S1", "the paper, figure 6", [0.05, 0.3], [70.0, 80.0], method="spic_published")
    return render_report(sources, against=["jpeg"], published={group: [curve]})


def _data(page: str) -> list[dict[str, Any]]:
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])


def test_the_page_names_nothing_to_load_and_is_the_same_each_time(sources: list[Source], page: str) -> None:
    assert not re.search(r"""(?:src|href)=["'](?!#)""", page) and "@import" not in page and "url(" not in page
    assert set(re.findall(r"https?://[^'\"\s]+", page)) == {"http://www.w3.org/2000/svg"}  # a name, not an address
    assert "default-src 'none'" in page and "unsafe" not in page
    assert len(page) < 200_000
    assert render_report(sources, against=["jpeg"]) == render_report(sources, against=["jpeg"])


def test_the_data_hold_every_measurement_of_every_group_once(sources: list[Source], page: str) -> None:
    groups = _data(page)
    assert len(groups) == 2
    measured = [m for g in groups for c in g["curves"] for p in c["points"] for m in p["measured"]]
    assert len(measured) == sum(len(source.result.points) for source in sources)
    counted = [m["histogram"] for m in measured if m["histogram"]]
    assert counted and all(sum(h["counts"]) == IMAGES == h["images"] for h in counted)
    assert all(m["histogram"] is None for m in measured if m["name"] == "jpeg")


def test_hostile_names_stay_text(make_result) -> None:
    name = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    page = render_report([Source(make_result(name, dataset=name))])
    assert "alert" in page and "<img" not in page and page.count("<script") == 2
    assert html.escape(name) in page


def test_a_report_of_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="evaluate a method first"):
        render_report([])


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium, if the machine has one."""
    selenium = pytest.importorskip("selenium.webdriver", reason="selenium is not installed (the extra `browser`)")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    missing = [name for name, path in (("chromium", program), ("chromedriver", driver)) if path is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not on PATH")
    options = selenium.ChromeOptions()
    options.binary_location = program
    for argument in ("--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1400,1000"):
        options.add_argument(argument)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    running = selenium.Chrome(options=options, service=selenium.ChromeService(driver))
    yield running
    running.quit()


class Section:
    """One group's part of the open page."""

    def __init__(self, browser: Any, protocol: str) -> None:
        self.browser = browser
        self.root = next(s for s in self.all("section.group", browser) if f"protocol {protocol}" in s.text)

    def all(self, selector: str, root: Any = None) -> list[Any]:
        return (root or self.root).find_elements("css selector", selector)

    def one(self, selector: str) -> Any:
        (found,) = self.all(selector)
        return found

    def column(self, heading: str) -> list[str]:
        """Returns the cells of a column of the table of points."""
        script = (
            "const table = arguments[0].querySelector('table.points');"
            "const heads = [...table.tHead.rows[0].cells].map(cell => cell.textContent);"
            "return [...table.tBodies[0].rows].map(row => row.cells[heads.indexOf(arguments[1])].textContent);"
        )
        return self.browser.execute_script(script, self.root, heading)

    def sort(self, heading: str) -> str:
        """Presses a heading and returns the order it then states."""
        head = next(cell for cell in self.all("table.points th") if cell.text == heading)
        head.find_element("tag name", "button").click()
        return head.get_attribute("aria-sort")

    def toggle(self, label: str) -> None:
        self.choice(label).find_element("tag name", "input").click()

    def choice(self, label: str) -> Any:
        return next(each for each in self.all(".controls label") if each.text.startswith(label))

    def labels(self) -> set[str]:
        """Returns the curves that have a point in the plot."""
        return {each.get_attribute("aria-label").split(",")[0] for each in self.all(".canvas .point")}

    def slide(self, value: float) -> None:
        script = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'));"
        self.browser.execute_script(script, self.one("input[type=range]"), value)


@pytest.fixture
def section(browser: Any, page: str, tmp_path: Path) -> Iterator[Section]:
    """The larger group of the freshly opened page; afterwards the console must be empty and nothing fetched."""
    path = tmp_path / "report.html"
    path.write_text(page, encoding="utf-8")
    browser.get_log("browser")
    browser.get(path.as_uri())
    yield Section(browser, SHOWN)
    assert browser.get_log("browser") == []
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0


def _numbers(cells: list[str]) -> list[float | None]:
    return [None if cell == "\N{EN DASH}" else float(cell.replace(",", "")) for cell in cells]


@pytest.mark.parametrize("heading", ["bpp", "Top-1 %", "Encoder KB"])
def test_pressing_a_heading_sorts_up_and_then_down_with_the_unmeasured_last(section: Section, heading: str) -> None:
    for direction in ("ascending", "descending"):
        assert section.sort(heading) == direction
        values = _numbers(section.column(heading))
        known = [value for value in values if value is not None]
        assert known == sorted(known, reverse=direction == "descending") and len(set(known)) > 1
        assert values[: len(known)] == known


def test_the_filter_and_the_toggles_narrow_table_and_plot(section: Section) -> None:
    everything = len(section.column("Method"))
    assert "JPEG" in section.labels() and "JPEG" in section.column("Method")
    section.toggle("JPEG")
    assert "JPEG" not in section.labels() and "JPEG" not in section.column("Method")
    section.one("input[type=search]").send_keys("entropic")
    assert set(section.column("Method")) == {"Entropic Student (supervised)"}
    section.one("input[type=search]").clear()
    section.one("input[type=search]").send_keys(" ")
    none = next(button for button in section.all(".buttons button") if button.text == "none")
    none.click()
    assert section.labels() == set() and section.column("Method") == []
    next(button for button in section.all(".buttons button") if button.text == "all").click()
    assert len(section.column("Method")) == everything and "SPIC S1 (as published)" in section.labels()


def test_points_of_another_protocol_are_in_another_section(section: Section, browser: Any) -> None:
    other = Section(browser, "made-up-128")
    assert other.column("Point") == ["q5 *"] and len(section.column("Point")) > 20
    section.toggle("JPEG")
    assert other.column("Point") == ["q5 *"]


def test_the_axis_changes_its_unit_and_drops_what_cannot_be_placed_on_it(section: Section) -> None:
    def title() -> str:
        return " ".join(each.text for each in section.all(".canvas text"))

    assert "bits per image pixel" in title()
    section.choice("kilobytes").click()
    assert "kilobytes of 1,024 bytes" in title() and "JPEG" in section.labels()
    section.choice("encoder size").click()
    assert "(ExR of SC2" in title() and "Entropic Student (supervised)" in section.labels()
    assert not section.labels() & {"JPEG", "SPIC S1 (as published)"}  # no network to ship, none of known size
    section.choice("end-to-end").click()
    assert "end-to-end latency, ms (link of 1.00 Mbit/s)" in title()
    assert section.labels() >= {"send the label", "Entropic Student (supervised)"}
    assert not section.labels() & {"JPEG", "SPIC S1 (as published)"}  # no measured times


def test_the_encoder_times_the_payload_is_that_of_the_comparison(section: Section, sources: list[Source]) -> None:
    section.choice("encoder size").click()
    members = [source for source in sources if source.result.meta.protocol == SHOWN]
    single = [p for c in build_curves(members) for p in c.points if c.meta.method == "entropic_student"]
    told = [each.get_attribute("aria-label") for each in section.all(".canvas .point")]
    placed = {text.split(",")[1].split(":")[0].strip(): text for text in told if text.startswith("Entropic")}
    assert placed.keys() == {point.unit for point in single}
    for point in single:
        drawn = float(placed[point.unit].rpartition(" at ")[2].replace(",", ""))
        assert drawn == pytest.approx(encoder_times_rate(point), rel=0.006)


@pytest.mark.parametrize("exponent", [-1.0, 1.0])
def test_the_slider_gives_the_latencies_of_the_comparison(section: Section, sources: list[Source], exponent) -> None:
    section.slide(exponent)
    members = [source for source in sources if source.result.meta.protocol == SHOWN]
    single = [p for c in build_curves(members) for p in c.points if c.meta.method == "entropic_student"]
    section.one("input[type=search]").send_keys("entropic")
    shown = _numbers(section.column("Latency ms"))
    assert shown == pytest.approx([end_to_end_ms(point, 10**exponent) for point in single], abs=0.051)


def test_hovering_tells_a_point_and_choosing_a_row_shows_where_it_comes_from(section: Section) -> None:
    section.browser.execute_script(
        "const box = arguments[0].getBoundingClientRect();"
        "const at = { clientX: box.x + box.width / 2, clientY: box.y + box.height / 2, bubbles: true };"
        "arguments[0].dispatchEvent(new PointerEvent('pointermove', at));",
        next(p for p in section.all(".point") if p.get_attribute("aria-label").startswith("Entropic")),
    )
    tip = section.one(".tip").text
    assert tip.startswith("Entropic Student (supervised)") and " bpp" in tip and "ms at 1.00 Mbit/s" in tip
    section.one("input[type=search]").send_keys("static table (supervised)")
    section.sort("bpp")
    section.all("table.points tbody tr")[0].click()
    origin = section.one(".origin")
    for fact in (f"{1:064x}", "0.1.0+gabc", "spic_static_table.json", "2025-01-01", "seed 0 of 3 seeds"):
        assert fact in origin.text
    titles = section.browser.execute_script(
        "return [...arguments[0].querySelector('.histogram').querySelectorAll('title')].map(t => t.textContent)", origin
    )
    assert sum(int(re.search(r": (\d+) images", title)[1]) for title in titles) == IMAGES
    assert section.one(".point.picked") and len(section.all("tr.picked")) == 3
