"""A paper without fault gives no finding; one fault gives the one that names it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_paper import RIGHT, SIZES, printed

import bench.audit.marks as marks_module
from bench.audit.findings import Finding
from bench.audit.report import as_markdown, as_text


def families_of(findings: tuple[Finding, ...]) -> set[str]:
    return {finding.test for finding in findings}


def test_a_perfect_paper_gives_no_finding_and_says_what_was_looked_at(small: Any) -> None:
    result = small.audit()
    assert result.findings == ()
    said = [check.what for check in result.checks]
    assert "4 of 4 differences in Table 1 follow from the printed rows" in said
    assert any(line.startswith("gain holds") for line in said) and any(line.startswith("better holds") for line in said)
    assert any("5 rows fit single runs" in line for line in said)
    assert any("10 UAR/WAR pairs are possible" in line for line in said)


@pytest.mark.parametrize("seed", range(12))
def test_no_paper_whose_numbers_come_from_counts_is_accused_of_an_error(small: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    right = {
        row: {name: tuple(int(rng.integers(size // 3, size)) for size in SIZES[name]) for name in SIZES}
        for row in RIGHT
    }
    small.texts = printed(right)
    small.marks.clear()
    result = small.audit()
    assert [finding for finding in result.findings if finding.severity == "error" and finding.test != "claims"] == []


def test_an_arrow_that_is_no_difference_is_an_error(small: Any) -> None:
    key = ("1", "gain", "faces", "war")
    small.texts[key] = f"{float(small.texts[key]) + 0.02:.2f}"
    finding = small.only_finding()
    assert (finding.severity, finding.test) == ("error", "arithmetic")
    assert "Table 1, row 'gain': 1 of its differences" in finding.what
    assert f"printed {small.texts[key]}" in finding.details[0]


def test_an_arrow_that_is_off_by_one_digit_is_a_note_with_its_count(small: Any) -> None:
    key = ("1", "gain", "faces", "war")
    small.texts[key] = f"{float(small.texts[key]) + 0.01:.2f}"
    finding = small.only_finding()
    assert finding.severity == "note" and "1 of 4 differences in Table 1 differ by 0.01" in finding.what


def test_a_mean_that_is_none_is_an_error(small: Any) -> None:
    key = ("2", "mean", "scenes", "uar")
    small.texts[key] = f"{float(small.texts[key]) + 0.03:.2f}"
    finding = small.only_finding()
    assert (finding.severity, finding.test) == ("error", "arithmetic") and "1 of its means" in finding.what


def test_the_variance_of_a_sample_is_told_from_that_of_a_population(small: Any) -> None:
    key = ("2", "variance", "scenes", "uar")
    small.texts[key] = f"{float(small.texts[key]) * 1.5:.2f}"
    finding = small.only_finding()
    assert finding.severity == "warning" and "1 variances are those of a sample" in finding.what


def test_a_variance_that_is_none_is_an_error(small: Any) -> None:
    small.texts["2", "variance", "scenes", "uar"] = "9.99"
    finding = small.only_finding()
    assert finding.severity == "error" and "1 of its variances" in finding.what


def test_two_prints_of_one_number_that_differ_are_a_contradiction_whatever_the_rows_are_called(small: Any) -> None:
    other = f"{float(small.texts['2', 'plain', 'faces', 'war']) - 0.1:.2f}"
    small.texts["2", "plain", "faces", "war"] = other
    found = [finding for finding in small.audit().findings if finding.test == "contradiction"]
    assert len(found) == 1 and found[0].severity == "error"
    assert f"Table 2 (plain) {other}" in found[0].what and {place.table for place in found[0].places} == {"1", "2"}


def test_a_stated_average_that_the_cells_do_not_give_is_an_error(small: Any) -> None:
    small.gain = "12.34"
    finding = small.only_finding()
    assert finding.severity == "error" and "stated 12.34, the 2 cells give" in finding.what


def test_better_everywhere_is_counted(small_of: Callable[..., Any]) -> None:
    small = small_of("new", "scenes", (160, 90, 50))
    for metric in ("uar", "war"):
        small.marks.pop(("1", "new", "scenes", metric))
        small.marks["1", "old", "scenes", metric] = "**"
    found = [finding for finding in small.audit().findings if finding.test == "claims"]
    assert len(found) == 1 and "2 of 4 cells are against it" in found[0].what


def test_bold_on_the_second_best_is_an_error(small: Any) -> None:
    del small.marks["1", "new", "faces", "uar"]
    small.marks["1", "old", "faces", "uar"] = "**"
    finding = small.only_finding()
    assert (finding.severity, finding.test) == ("error", "marks") and len(finding.details) == 2


def test_a_table_without_marks_is_not_said_to_be_marked_wrongly(small: Any) -> None:
    small.marks.clear()
    assert small.audit().findings == ()


def test_a_stated_size_that_the_numbers_rule_out_is_an_error_with_the_true_size(small: Any) -> None:
    small.samples = 1003
    finding = small.only_finding()
    assert (finding.severity, finding.test) == ("error", "grim")
    assert "Faces was run on 1,000 samples, not the 1,003 that the text states" in finding.what


def test_single_runs_that_are_said_to_be_means_are_an_error(small: Any) -> None:
    small.runs = 3
    finding = small.only_finding()
    assert (finding.severity, finding.test) == ("error", "grim")
    assert "4 rows of Tables 1 and 2 are single runs: 8 of 8 WAR cells" in finding.what


def test_a_number_that_no_single_run_gives_makes_its_row_a_mean(small: Any) -> None:
    small.texts["1", "new", "scenes", "war"] = "80.83"
    small.texts["1", "gain", "scenes", "war"] = f"{80.83 - float(small.texts['1', 'old', 'scenes', 'war']):.2f}"
    checks = {check.numbers.get("kind"): check for check in small.audit().checks if check.test == "grim"}
    assert [row["row"] for row in checks["several"].numbers["rows"]] == ["new size=B"]
    assert len(checks["single"].numbers["rows"]) == 4


def test_a_pair_that_no_confusion_matrix_gives_is_an_error(small: Any) -> None:
    small.texts["1", "new", "faces", "uar"] = "60.11"
    small.texts["1", "gain", "faces", "uar"] = f"{60.11 - float(small.texts['1', 'old', 'faces', 'uar']):.2f}"
    finding = small.only_finding()
    assert (finding.severity, finding.test) == ("error", "feasibility") and "60.11/79.60" in finding.details[0]


def test_a_constant_prediction_is_found_with_its_class(small_of: Callable[..., Any]) -> None:
    result = small_of("old", "faces", (0, 350, 0)).audit()
    (finding,) = [finding for finding in result.findings if "constant" in finding.what]
    assert finding.severity == "warning" and "1 cells equal a constant prediction" in finding.what
    assert "always 'sadness' gives 33.33/35.00" in finding.details[0]


def test_below_chance_and_below_the_largest_class_are_told(small_of: Callable[..., Any]) -> None:
    said = [finding.what for finding in small_of("old", "faces", (100, 90, 93)).audit().findings]
    assert "1 UARs are below chance" in said
    assert "1 WARs of 1 rows are below the share of the largest class" in said


def test_a_winner_inside_the_noise_is_a_note(small_of: Callable[..., Any]) -> None:
    result = small_of("new", "faces", (255, 176, 97)).audit()
    found = [finding for finding in result.findings if finding.test == "noise"]
    assert [finding.severity for finding in found] == ["note"]
    assert "2 of 4 differences in Table 1 are smaller than the noise" in found[0].what


def test_a_bold_number_of_a_system_that_was_trained_on_the_set_is_a_warning(small: Any) -> None:
    (small.folder / "new.toml").write_text(
        'kind = "method"\nname = "new"\ntrained_on = ["faces"]\n[encoder]\nadapter = "p.m:C"\n[axes.size.B]\n[axes.how.1]\n'
    )
    finding = small.only_finding()
    assert finding.severity == "warning" and finding.details == ("Table 1: new on Faces",)


def test_an_empty_variant_and_a_default_are_the_same_row(small: Any) -> None:
    card = '\n[encoder]\nadapter = "p.m:C"\n[axes.size.B]\n[axes.how.none]\n[axes.how.1]\n[axes.how.2]\n[axes.how.3]\n'
    (small.folder / "new.toml").write_text('kind = "method"\nname = "new"\n[default]\nhow = "1"' + card)
    result = small.audit()
    (finding,) = [finding for finding in result.findings if finding.test == "contradiction" and "Faces" in finding.what]
    assert "Table 1 (new)" in finding.what and "Table 2 (run 1)" in finding.what


def test_what_is_shown_is_cut_and_the_rest_counted(small: Any) -> None:
    small.runs = 3
    result = small.audit()
    assert "and 3 more" in as_text(result, 1) and "and 3 more" in as_markdown(result, 1)
    assert "more" not in as_text(result, 8).partition("looked at")[0]


def test_the_command_audits_a_folder_of_ones_own(small: Any, bench: Any) -> None:
    small.samples = 1003
    small.audit()
    answer = bench("audit", small.folder)
    assert answer.code == 0 and "1 error, 0 warnings, 0 notes" in answer.out
    assert bench("audit", "small", "--cards", small.folder, "--strict").code == 1
    assert bench("audit", "small:1", "--cards", small.folder, "--json").code == 0
    facts = json.loads(bench("audit", small.folder, "--json").out)
    assert facts["counts"] == {"error": 1, "warning": 0, "note": 0} and facts["findings"][0]["places"]


def test_a_claim_of_a_row_that_is_not_there_is_a_broken_card(small: Any, bench: Any) -> None:
    small.audit()
    path = small.folder / "claims.toml"
    path.write_text(path.read_text().replace('rows = ["new"]', 'rows = ["knew"]'))
    answer = bench("audit", small.folder)
    assert "broken card" in answer.err and "did you mean 'new'?" in answer.err


def test_a_paper_without_printed_numbers_is_told_how_to_give_them(tmp_path: Path, bench: Any) -> None:
    (tmp_path / "paper.toml").write_text('kind = "paper"\nname = "bare"\n')
    answer = bench("audit", tmp_path)
    assert answer.code == 2 and "no table with printed numbers" in answer.err


def test_marks_are_tested_against_the_numbers_and_not_against_themselves(
    small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marks_module, "emphasis", lambda *_: {})
    assert families_of(small.audit().findings) == {"marks"}
