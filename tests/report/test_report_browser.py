"""The page in a real browser: mouse, keys, narrow screens, dark colours; a quiet console and no request."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Browser
from scipy.stats import binomtest
from synthetic import write_dataset, write_record

from bench.cards.catalog import load
from bench.report.build import page
from bench.settings import load as load_settings

TITLE = "document.getElementById('view-title').textContent"
OPEN = "document.getElementById('view').open"
WIDE = "[document.documentElement, document.getElementById('view')].some(e => e.scrollWidth > e.clientWidth)"


@pytest.fixture
def opened(chromium: Browser, small: Any) -> Browser:
    chromium.open(small.address)
    return chromium


def column(browser: Browser, index: int) -> list[float]:
    """A column of numbers as it stands in the page."""
    script = f"[...document.querySelectorAll('.results tbody tr')].map(row => row.querySelectorAll('td')[{index}].textContent)"
    return [float(text.rstrip("†‡§¶")) for text in browser.run(script)]


def test_a_click_on_a_number_opens_its_cell_and_escape_closes_it(opened: Browser, small: Any) -> None:
    opened.click(".results tbody td.opens")
    assert opened.run(OPEN) and opened.run(TITLE).startswith("Tiny Faces: CLIP (B/32)")
    opened.press("Escape")
    assert opened.until(f"!{OPEN} && !location.hash")
    assert opened.complaints() == []


def test_back_and_forward_go_through_the_views_and_not_out_of_the_page(opened: Browser) -> None:
    opened.click(".results tbody td.opens")
    first = opened.run("location.hash")
    opened.run("location.hash = '#cell-1'")
    assert opened.until(f"{TITLE} && location.hash === '#cell-1'")
    assert first != "#cell-1"
    opened.run("history.back()")
    assert opened.until(f"{OPEN} && location.hash === '{first}'")
    opened.run("history.back()")
    assert opened.until(f"!{OPEN} && !location.hash")
    opened.run("history.forward()")
    assert opened.until(f"{OPEN} && {TITLE}.startsWith('Tiny Faces: CLIP (B/32)')")
    opened.press("Escape")
    assert opened.until(f"!{OPEN} && !location.hash")
    opened.run("history.back()")
    assert opened.until(f"{OPEN} && location.hash === '{first}'")
    assert opened.complaints() == []


def test_the_page_says_that_numbers_open(opened: Browser) -> None:
    assert "Every number opens" in opened.run("document.body.innerText")


def test_the_keyboard_alone_reaches_a_cell_and_comes_back_to_where_it_was(opened: Browser) -> None:
    opened.run("document.querySelector('.results button').focus()")
    opened.press("ArrowDown", "ArrowDown", "ArrowRight", "ArrowRight")
    place = "[document.activeElement.parentNode.rowIndex, document.activeElement.cellIndex]"
    before = opened.run(place)
    opened.press("Enter")
    assert opened.run(OPEN) and opened.run("document.activeElement.id") == "view-title"
    opened.press("Escape")
    assert opened.until(f"JSON.stringify({place}) === '{json.dumps(before, separators=(',', ':'))}'")
    assert opened.complaints() == []


def test_tab_leaves_a_table_instead_of_walking_through_its_cells(opened: Browser) -> None:
    opened.run("document.querySelector('.results tbody td.opens').focus()")
    opened.press("ArrowDown", "ArrowDown")
    assert opened.run("document.querySelectorAll('.results [tabindex=\"0\"]').length") == 1
    opened.press("Tab")
    assert opened.run("document.activeElement.closest('.results')") is None


def test_a_heading_sorts_best_first_then_worst_first_then_as_the_paper_has_it(opened: Browser) -> None:
    original = column(opened, 1)
    sort = '[data-sort="tiny-faces 1"]'
    for direction, expected in (
        ("descending", sorted(original, reverse=True)),
        ("ascending", sorted(original)),
        (None, original),
    ):
        opened.click(sort)
        assert column(opened, 1) == expected
        assert opened.run(f"document.querySelector('{sort}').parentNode.getAttribute('aria-sort')") == direction
    assert opened.run(f"document.activeElement === document.querySelector('{sort}')")


def test_the_confusion_matrix_holds_the_records_counts(opened: Browser, small: Any) -> None:
    from bench.records.record import open_record
    from bench.records.scores import matrices_of

    counts = matrices_of(open_record(small.record))
    for number, cell in enumerate(small.facts()["cells"]):
        (expected,) = next(
            folds for key, folds in counts.items() if all(cell[n] == v for n, v in key._asdict().items())
        ).values()
        opened.run(f"document.getElementById('view-body').replaceChildren(); location.hash = 'cell-{number}'")
        assert opened.until("document.querySelector('.matrix') !== null")
        found = opened.run(
            "[...document.querySelectorAll('.matrix tbody tr')].map(r => [...r.querySelectorAll('td[tabindex] small')].map(c => +c.textContent))"
        )
        assert found == expected[:, :-1].tolist()


def test_a_cell_of_the_matrix_lists_its_samples(opened: Browser, small: Any) -> None:
    opened.click(".results tbody td.opens")
    spot = opened.run(
        "[...document.querySelectorAll('.matrix td[tabindex]')].findIndex(c => c.querySelector('small').textContent !== '0')"
    )
    opened.run(f"document.querySelectorAll('.matrix td[tabindex]')[{spot}].focus()")
    count = int(opened.run("document.activeElement.querySelector('small').textContent"))
    opened.press("Enter")
    assert opened.run("document.querySelectorAll('[aria-live] tbody tr').length") == count


def test_recalls_have_wilsons_intervals(opened: Browser) -> None:
    opened.click(".results tbody td.opens")
    rows = opened.run(
        "[...document.querySelectorAll('.recalls tbody tr')].map(r => [...r.children].map(c => c.textContent))"
    )
    assert len(rows) == 3
    for _, recall, ends, _, counts in rows:
        right, every = map(int, counts.split("/"))
        interval = binomtest(right, every).proportion_ci(method="wilson")
        assert recall == f"{100 * right / every:.2f}"
        assert ends == f"{100 * interval.low:.1f}, {100 * interval.high:.1f}"


def test_two_methods_are_compared_sample_by_sample(opened: Browser, small: Any) -> None:
    facts = small.facts()
    one, two = (
        n for n, cell in enumerate(facts["cells"]) if cell["dataset"] == "tiny-faces" and "B32" in cell["variant"]
    )
    opened.click(".results tbody tr td.opens")
    opened.run(
        f"(s => {{ s.value = '{two}'; s.dispatchEvent(new Event('change')); }})([...document.querySelectorAll('select')].at(-1))"
    )
    assert opened.run("location.hash") == f"#compare-{one}-{two}"
    labels = np.array(list(facts["samples"][facts["cells"][one]["samples"]]["labels"]))
    a, b = (np.array(list(facts["cells"][n]["said"])) == labels for n in (one, two))
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    headings = opened.run("[...document.querySelectorAll('#view h3')].map(h => h.textContent)")
    assert f"Only A is right: {only_a}" in headings and f"Only B is right: {only_b}" in headings
    said = opened.run("document.getElementById('mcnemar').textContent")
    assert f"p = {binomtest(only_a, only_a + only_b).pvalue:.4f} ({only_a} against {only_b})" in said
    assert opened.complaints() == []


@pytest.mark.parametrize(("b", "c"), [(0, 0), (3, 0), (7, 15), (400, 300), (4000, 3600)])
def test_mcnemars_test_is_scipys(chromium: Browser, b: int, c: int) -> None:
    source = (Path(__file__).parents[2] / "bench" / "report" / "script" / "statistics.js").read_text()
    found = chromium.run(f"(() => {{ {source}; return mcnemar({b}, {c}); }})()")
    assert found == pytest.approx(binomtest(b, b + c).pvalue if b + c else 1.0, rel=1e-9)


@pytest.mark.parametrize("fragment", ["", "#cell-0", "#compare-0-3"])
@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_never_scrolls_sideways(chromium: Browser, small: Any, fragment: str, width: int) -> None:
    chromium.open(small.address + fragment, width=width, height=800)
    assert chromium.run(OPEN) == bool(fragment)
    chromium.run("document.querySelectorAll('details').forEach(part => part.open = true)")
    assert not chromium.run(WIDE)


def test_colours_follow_the_system_and_the_switch(chromium: Browser, small: Any) -> None:
    ground = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + +b, 0)"
    chromium.open(small.address)
    assert chromium.run(ground) > 600
    chromium.click("#theme")
    assert chromium.run(ground) < 150
    chromium.open(small.address, dark=True)
    assert chromium.run(ground) < 150
    chromium.click("#theme")
    assert chromium.run(ground) > 600


CONTRASTS = """(() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgb = (colour) => {
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const linear = (value) => value <= .04045 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4;
  const light = (colour) => rgb(colour).map((v, n) => [.2126, .7152, .0722][n] * linear(v / 255)).reduce((a, b) => a + b);
  const cell = document.querySelector('.matrix td[tabindex]'), style = getComputedStyle(cell);
  return Array.from({length: 100}, (_, n) => n + 1).map(share => {
    cell.style.setProperty('--share', share);
    cell.className = share > 60 ? 'hot' : '';
    const [a, b] = [light(style.color), light(style.backgroundColor)].sort((x, y) => y - x);
    return (a + .05) / (b + .05);
  });
})()"""


@pytest.mark.parametrize("dark", [False, True])
def test_numbers_on_every_heat_can_be_read(chromium: Browser, small: Any, dark: bool) -> None:
    chromium.open(small.address + "#cell-0", dark=dark)
    assert min(chromium.run(CONTRASTS)) > 4.0


def test_every_control_has_a_name_and_every_picture_a_text(chromium: Browser, small: Any) -> None:
    for fragment in ("", "#cell-0", "#compare-0-3"):
        chromium.open(small.address + fragment)
        nodes = chromium.call("Accessibility.getFullAXTree")["nodes"]
        for node in nodes:
            role = node.get("role", {}).get("value")
            if role in ("button", "combobox", "checkbox", "image", "dialog", "link", "grid", "region", "columnheader"):
                assert node.get("ignored") or node["name"]["value"].strip() or role == "columnheader", node
        roles = {node["role"]["value"] for node in nodes if "role" in node}
        assert {"grid", "gridcell", "rowheader"} <= roles or fragment.startswith("#compare")


def test_markup_in_a_record_is_shown_and_never_run(chromium: Browser, hostile: Any) -> None:
    chromium.open(hostile.address)
    chromium.click(".results tbody td.opens")
    assert chromium.run(OPEN)
    chromium.run("document.querySelectorAll('details').forEach(part => part.open = true)")
    assert chromium.run("document.querySelectorAll('script').length") == 2
    assert chromium.run("document.querySelectorAll('img').length") == 0
    shown = chromium.run("document.body.innerText")
    assert shown.count("<script>alert(1)</script>") > 20 and "alert(3)" in shown
    assert chromium.complaints() == []


def test_markup_in_the_names_of_files_is_shown_and_never_run(
    chromium: Browser, world: Any, make: Callable[..., Any]
) -> None:
    faces = world.root / "data" / "tiny-faces"
    names = [
        '"><img src=x onerror=alert(4)>',
        "<!--<script>alert(5)",
        "' onmouseover='alert(6)",
        "${alert(7)} {{alert(7)}} &lt;b&gt;",
        "</title></style></textarea><svg onload=alert(8)>".replace("/", "\N{FRACTION SLASH}"),
        "two\nlines \u2028 \u202e backwards",
    ]
    for name, path in zip(names, sorted(faces.rglob("*.jpg")), strict=False):
        path.rename(path.with_name(f"{name}.jpg"))
    card = world.root / "cards" / "tiny-faces.toml"
    card.write_text(card.read_text().replace('title = "Tiny Faces"', "title = '<img src=x onerror=alert(9)>'"))
    answer = world.run("--methods", "clip:backbone=B32", "--datasets", "tiny-faces")
    assert answer.code == 0, answer.err
    page = make(world.records()[-1], "--cards", world.root / "cards", "--samples", "20")
    chromium.open(page.address)
    chromium.click(".results tbody td.opens")
    chromium.run("document.querySelectorAll('details').forEach(part => part.open = true)")
    assert chromium.run("document.querySelectorAll('script').length") == 2
    assert chromium.run("document.querySelectorAll('img[src=x], svg[onload], [onmouseover]').length") == 0
    shown = chromium.run("document.body.innerText")
    for part in (
        "onerror=alert(4)>",
        "<script>alert(5)",
        "onmouseover='alert(6)",
        "{{alert(7)}} &lt;b&gt;",
        "alert(9)",
    ):
        assert part in shown, part
    assert chromium.complaints() == []


def test_a_fold_can_be_looked_at_alone(chromium: Browser, tmp_path: Path, make: Callable[..., Any]) -> None:
    catalog = load()
    write_dataset(catalog.dataset("afew"), tmp_path / "data" / "afew", 2, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    for name in catalog.table("2")[1].datasets:
        write_dataset(catalog.dataset(name), tmp_path / "data" / name, 1, rng)
    made = make(write_record(tmp_path / "run", catalog, ["2"], tmp_path / "data").path)
    cells = made.facts()["cells"]
    number = next(n for n, cell in enumerate(cells) if cell["dataset"] == "mafw")
    chromium.open(f"{made.address}#cell-{number}")
    chromium.run("(s => { s.value = '3'; s.dispatchEvent(new Event('change')); })(document.querySelector('select'))")
    figures = chromium.run("[...document.querySelectorAll('.figures b')].map(b => b.textContent)")
    fold = cells[number]["folds"][2]
    assert figures == [f"{fold[1]:.2f}", f"{fold[2]:.2f}", "11"]
    assert (
        chromium.run("[...document.querySelectorAll('.matrix small')].reduce((sum, c) => sum + +c.textContent, 0)")
        == 11
    )


def test_an_arrow_rows_number_opens_the_comparison_of_its_two_rows(
    chromium: Browser, tmp_path: Path, make: Callable[..., Any]
) -> None:
    catalog = load()
    for name in catalog.table("2")[1].datasets:
        write_dataset(catalog.dataset(name), tmp_path / "data" / name, 1, np.random.default_rng(0))
    made = make(write_record(tmp_path / "run", catalog, ["2"], tmp_path / "data").path)
    facts = made.facts()
    chromium.open(made.address)
    chromium.click(".results tbody tr:nth-of-type(4) td.opens")  # a heading, CLIP, Exp-CLIP, the arrow
    one, two = (
        facts["cells"][int(part)] for part in chromium.run("location.hash").removeprefix("#compare-").split("-")
    )
    assert (one["method"], two["method"], one["dataset"], two["dataset"]) == ("exp-clip", "clip", "raf-db", "raf-db")


@pytest.mark.slow
def test_three_whole_tables_stay_small_and_open_at_once(chromium: Browser, tmp_path: Path) -> None:
    catalog = load()
    rng = np.random.default_rng(0)
    for name in catalog.table("1")[1].datasets:
        card = catalog.dataset(name)
        write_dataset(card, tmp_path / "data" / name, max(1, 80 // (len(card.classes) * len(card.folds))), rng, side=96)
    record = write_record(tmp_path / "run", catalog, ["1", "2", "A"], tmp_path / "data")
    made = page(record, catalog, load_settings(data=[str(tmp_path / "data")]))
    assert made.reasons == {}
    path = tmp_path / "page.html"
    path.write_text(made.html, encoding="utf-8")
    assert path.stat().st_size < 5_000_000
    chromium.open(path.as_uri())
    facts = json.loads(chromium.run("JSON.stringify(performance.getEntriesByType('navigation')[0])"))
    assert facts["loadEventEnd"] < 1000
    assert chromium.run("document.querySelectorAll('.results td.opens').length") > 600
    assert chromium.complaints() == []
