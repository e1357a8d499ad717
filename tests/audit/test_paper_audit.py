"""What the audit finds on the built-in paper, from its cards, its printed numbers and the class counts alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bench.audit.findings import Audit, Finding
from bench.audit.run import audit
from bench.audit.sources import of_paper
from bench.cards.catalog import load

BACKBONES = ("B32", "B16", "L14")


@pytest.fixture(scope="module")
def paper() -> Audit:
    catalog = load()
    return audit(of_paper(catalog.paper("exp-clip"), catalog))


def one(paper: Audit, test: str, part: str) -> Finding:
    (found,) = [finding for finding in paper.findings if finding.test == test and part in finding.what]
    return found


def check(paper: Audit, test: str, part: str) -> dict[str, Any]:
    (found,) = [found for found in paper.checks if found.test == test and part in found.what]
    return dict(found.numbers)


def test_table_2_contradicts_table_a_in_one_cell_and_nothing_else_does(paper: Audit) -> None:
    found = one(paper, "contradiction", "")
    assert found.severity == "error"
    for said in ("RAF-DB UAR/WAR of clip backbone=B16, P-3", "Table 2 (B16 CLIP) 38.66/37.16", "39.85/38.75"):
        assert said in found.what


def test_the_arrow_of_that_cell_follows_table_a(paper: Audit) -> None:
    found = one(paper, "arithmetic", "B16 gain")
    assert found.severity == "error" and len(found.details) == 2
    assert "printed 9.11, 48.96 - 38.66 = 10.30; Table A prints 39.85 there, which fits" in found.details[0]
    assert "printed 15.75, 54.50 - 37.16 = 17.34; Table A prints 38.75" in found.details[1]


def test_twelve_of_48_arrows_of_tables_3_and_b_are_off_by_one_digit(paper: Audit) -> None:
    found = one(paper, "arithmetic", "Tables 3 and B differ by 0.01")
    assert found.severity == "note" and "12 of 48" in found.what and len(found.details) == 12


def test_all_means_hold_and_variances_are_those_of_a_population(paper: Audit) -> None:
    assert check(paper, "arithmetic", "means in Tables 3 and B")["hold"] == 96
    variances = check(paper, "arithmetic", "variances in Table B")
    assert variances["hold"] == 96 and variances["fit_sample_variance"] == 4


def test_the_averages_of_the_text_hold_though_two_rest_on_the_stale_cell(paper: Audit) -> None:
    assert check(paper, "claims", "l14-gain-uar holds")["found"] == pytest.approx(8.075)
    for metric, stated, due in (("uar", 5.47, 5.62), ("war", 6.75, 6.95)):
        assert check(paper, "claims", f"b16-gain-{metric} holds")["stated"] == stated
        assert round(one(paper, "claims", f"the {metric.upper()} gains {stated}").numbers["from_sources"], 2) == due


def test_exactly_seven_values_are_below_clip_one_by_2_68(paper: Audit) -> None:
    numbers = check(paper, "claims", "seven-below-clip holds")
    assert numbers["cells"] == 240 and numbers["against"] == 7 and numbers["widest"] == 2.68


def test_the_claims_that_say_all_have_their_exceptions_named(paper: Audit) -> None:
    farl = one(paper, "claims", "FaRL")
    assert farl.severity == "error" and farl.numbers["against"] == 1
    assert any("FERV39k WAR: Exp-CLIP B/32 21.25, FaRL (B/16) 22.87" in line for line in farl.details)
    blip2 = one(paper, "claims", "BLIP2").numbers["held"]
    assert blip2 == {"Exp-CLIP B/32": [0, 8], "Exp-CLIP B/16": [7, 8], "Exp-CLIP L/14": [8, 8]}
    encoders = one(paper, "claims", "teacher as an encoder")
    assert encoders.details == ("Table 5, RAF-DB WAR: CLIP / CLIP 41.13, LLM / LLM 41.23 (-0.10)",)
    assert one(paper, "claims", "related instructions differ little").numbers["found"] == 3.61


def test_the_marks_of_tables_1_and_2_follow_from_the_numbers(paper: Audit) -> None:
    assert check(paper, "marks", "of Table 1")["wrong"] == 0 and check(paper, "marks", "of Table 2")["wrong"] == 0
    assert one(paper, "marks", "have seen").details == ("Table 1: EmoCLIP on MAFW",)


@pytest.mark.parametrize(
    ("dataset", "samples", "stated"), [("AffectNet-7", 3499, 3500), ("FERPlus", 3137, 3589), ("AFEW", 381, 383)]
)
def test_the_numbers_fit_another_test_set_than_the_text_states(
    paper: Audit, dataset: str, samples: int, stated: int
) -> None:
    found = one(paper, "grim", f"{dataset} was run on")
    assert found.severity == "error"
    assert (found.numbers["samples"], found.numbers["stated"]) == (samples, stated)


@pytest.mark.parametrize(
    ("dataset", "samples"),
    [("RAF-DB", 3068), ("AffectNet-7", 3499), ("AffectNet-8", 3999), ("FERPlus", 3137), ("AFEW", 381)],
)
def test_the_numbers_alone_tell_how_many_samples_there_were(paper: Audit, dataset: str, samples: int) -> None:
    numbers = check(paper, "grim", f"{dataset}: numbers that a size allows")
    assert numbers["found"] == numbers["samples"] == samples and numbers["proved"]


def test_neither_the_annotations_other_version_nor_the_papers_count_fits_ferplus(paper: Audit) -> None:
    stated = check(paper, "grim", "FERPlus: numbers")["stated"]
    assert stated["evaluated"]["chance"] < 1e-10
    assert stated["newer-votes"]["chance"] > 0.05 and stated["paper, stated"]["chance"] > 0.01


def test_mafw_is_smaller_than_stated_and_fold_means_prove_nothing(paper: Audit) -> None:
    found = one(paper, "grim", "MAFW: the text states 10,045")
    assert found.severity == "warning" and found.numbers["samples"] == 9172
    for dataset in ("DFEW", "MAFW"):
        assert check(paper, "grim", f"{dataset}: a mean over 5 folds")


def test_rows_said_to_be_means_of_three_seeds_are_single_runs_in_125_of_126_cells(paper: Audit) -> None:
    found = one(paper, "grim", "mean of three seeds")
    assert found.severity == "error" and found.numbers["chance"] < 1e-50
    assert (found.numbers["rows"], found.numbers["fit"], found.numbers["cells"]) == (21, 125, 126)
    assert found.numbers["tables"] == ["4", "5", "B"]
    slip = one(paper, "grim", "54.72 is not a count of 3,137")
    assert slip.places[0][:3] == ("B", "L14 task-unrelated 1", "ferplus")
    assert (round(slip.numbers["below"], 2), round(slip.numbers["above"], 2)) == (54.70, 54.73)


def test_baselines_and_plain_clip_are_single_runs_and_the_default_instruction_is_not(paper: Audit) -> None:
    kinds = {found.numbers["kind"]: found.numbers["rows"] for found in paper.checks if "rows" in found.numbers}
    single = [row["row"] for row in kinds["single"]]
    assert sum(name.startswith("clip ") for name in single) == 15
    for baseline in ("blip2", "farl", "flava", "videoclip", "xclip", "emotionclip", "emoclip"):
        assert any(name.startswith(baseline) for name in single)
    means = [row["row"] for row in kinds["several"]]
    assert {f"exp-clip backbone={b}, P-{n}" for b in BACKBONES for n in range(1, 6)} <= {plain(row) for row in means}
    assert not any("empty" in name or "random" in name or "expert" in name for name in means)


def plain(name: str) -> str:
    """A row's label, whether its weights are the published ones or our own."""
    return name.replace(" weights=trained", "")


def test_tables_that_compare_means_with_single_runs_are_named(paper: Audit) -> None:
    found = one(paper, "grim", "compare means of several runs with single runs")
    assert {"3", "4", "B"} <= set(found.numbers)
    assert not {"1", "2", "A"} & set(found.numbers)


def test_every_pair_is_possible_on_the_evaluated_counts_and_many_are_not_on_the_official_ones(paper: Audit) -> None:
    assert not [finding for finding in paper.findings if finding.test == "feasibility"]
    for dataset in ("AffectNet-7", "AffectNet-8"):
        assert check(paper, "feasibility", f"{dataset}: ")["impossible"] > 10


def test_flava_is_a_constant_answer(paper: Audit) -> None:
    cells = one(paper, "degenerate", "constant prediction").numbers["cells"]
    flava = {cell["dataset"]: cell for cell in cells if cell["row"].startswith("flava")}
    assert {name for name, cell in flava.items() if cell["samples_apart"] == 0} == {"ferplus", "afew"}
    assert {"raf-db", "dfew", "ferv39k"} <= set(flava)
    assert all(cell["class"] == "happiness" for cell in flava.values()) and flava["raf-db"]["samples_apart"] == 2


def test_what_lies_below_chance_is_named(paper: Audit) -> None:
    found = {
        (name.split()[0].rstrip(","), dataset)
        for name, dataset in one(paper, "degenerate", "below chance").numbers["cells"]
    }
    flava = {("flava", "affectnet-7"), ("flava", "affectnet-8"), ("flava", "ferv39k")}
    assert found == flava | {("emotionclip", "dfew"), ("exp-clip", "dfew")}
    assert "LLM / CLIP+PH on DFEW: 13.93" in one(paper, "degenerate", "below chance").details[-1]


def test_what_lies_below_the_largest_class_is_named(paper: Audit) -> None:
    rows = one(paper, "degenerate", "share of the largest class").numbers["rows"]
    below = {plain(name): datasets for name, datasets in rows.items()}
    for number in range(1, 6):
        assert below[f"exp-clip backbone=B32, P-{number}"] == ["ferv39k"]
    assert below["clip backbone=B32, P-3"] == ["raf-db", "ferplus", "dfew", "ferv39k", "mafw"]
    assert sum(name.startswith(("videoclip", "xclip", "emotionclip")) for name in below) == 3


def test_runs_overlap_behind_21_of_48_differences_of_means(paper: Audit) -> None:
    numbers = one(paper, "noise", "best run of the lower row").numbers
    assert (numbers["overlap"], numbers["differences"]) == (21, 48)


def test_no_gain_on_afew_is_outside_the_noise_of_its_381_clips(paper: Audit) -> None:
    details = one(paper, "noise", "differences in Table 2").details
    assert [line for line in details if "AFEW" in line] == [
        "Table 2, AFEW UAR: +1.13, +4.63, +3.22; noise ±6.97",
        "Table 2, AFEW WAR: +2.36, +4.73, +2.10; noise ±6.94",
    ]


def test_the_command_gives_the_same_and_needs_no_torch(paper: Audit, bench: Any) -> None:
    import subprocess
    import sys

    answer = bench("audit", "--json")
    assert json.loads(answer.out)["counts"] == {
        severity: paper.count(severity)
        for severity in ("error", "warning", "note")  # type: ignore[arg-type]
    }
    assert bench("audit", "--strict").code == 1
    code = (
        "import sys, bench.cli as c\n"
        "try: c.main(['audit', '2', '--format', 'markdown'])\n"
        "finally: print('torch' in sys.modules, file=sys.stderr)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stderr.strip() == "False"
    assert "38.66/37.16" in found.stdout and "BLIP2" not in found.stdout
