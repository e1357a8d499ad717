from pathlib import Path

import pandas as pd
import pytest

from bench.errors import BenchError
from bench.metrics.predictions import read_predictions
from bench.metrics.score import score_frame

ROWS = "dataset,fold,label,prediction,seed,count\nset,1,happiness,happiness,1,3\nset,2,sadness,happiness,1,1\n"


def csv(folder: Path, text: str) -> Path:
    path = folder / "predictions.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_csv_and_parquet_give_the_same_predictions(tmp_path: Path) -> None:
    path = csv(tmp_path, ROWS)
    pd.read_csv(path).to_parquet(tmp_path / "predictions.parquet")

    from_csv, from_parquet = read_predictions(path), read_predictions(tmp_path / "predictions.parquet")

    pd.testing.assert_frame_equal(from_csv.reset_index(drop=True), from_parquet.reset_index(drop=True))
    assert score_frame(from_csv) == score_frame(from_parquet)


def test_a_file_of_another_suffix_is_told_by_its_content(tmp_path: Path) -> None:
    pd.read_csv(csv(tmp_path, ROWS)).to_parquet(tmp_path / "results.data")

    assert len(read_predictions(tmp_path / "results.data")) == 2


def test_indices_survive_a_byte_order_mark_spaces_and_integers_written_as_floats(tmp_path: Path) -> None:
    path = csv(tmp_path, "\ufeffdataset, label ,prediction\nset, 3 ,2.0\n")

    frame = read_predictions(path)

    assert frame[["label", "prediction"]].to_numpy().tolist() == [[3, 2]]


def test_a_dataset_called_na_and_a_class_called_none_are_kept(tmp_path: Path) -> None:
    frame = read_predictions(csv(tmp_path, "dataset,label,prediction\nNA,None,None\n"))

    assert frame.iloc[0][["dataset", "label", "prediction"]].tolist() == ["NA", "None", "None"]


def test_an_empty_variant_or_seed_is_none(tmp_path: Path) -> None:
    frame = read_predictions(csv(tmp_path, "dataset,label,prediction,variant,seed\nset,0,0,,\nset,0,0,x=1,2\n"))

    assert frame["variant"].tolist() == [None, "x=1"]
    assert frame["seed"].tolist() == [None, 2]


def test_seeds_with_gaps_in_parquet_stay_whole_numbers(tmp_path: Path) -> None:
    pd.DataFrame({"dataset": "set", "label": 0, "prediction": 0, "seed": [None, 2]}).to_parquet(tmp_path / "p.parquet")

    scores = score_frame(read_predictions(tmp_path / "p.parquet"))

    assert [score.seed for score in scores] == [None, 2]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", r"predictions.csv is empty"),
        ("dataset,label,prediction\n", r"predictions.csv has no rows"),
        ("dataset,label,pred\nset,0,0\n", r"no column 'prediction'; it has .*fix: rename 'pred' to 'prediction'"),
        ("data_set,label,prediction\nset,0,0\n", r"'data_set' would not be read, and looks like 'dataset'"),
        ("dataset,prediction\nset,0\n", r"no column 'label'; it has 'dataset', 'prediction'\n  fix: add it"),
        ("label|prediction\n0|0\n", r"no column 'label'; it has 'label\|prediction'"),
        ("dataset,label,prediction,prompt\nset,0,0,P-1\n", r"'prompt' would not be read, and looks like 'prompt_set'"),
        ("dataset,label,prediction,seeds\nset,0,0,1\n", r"'seeds' would not be read, and looks like 'seed'"),
        ("dataset,label,prediction\nset,0,0\nset,,0\n", r"line 3: label is empty"),
        ("dataset,label,prediction\nset,nan,0\n", r"line 2: label is empty"),
        ("dataset,label,prediction\nset,0,\n", r"line 2: prediction is empty\n  fix: write -1"),
        ("dataset,label,prediction\nset,0\n", r"line 2: prediction is empty"),
        ("dataset,label,prediction\n,0,0\n", r"line 2: dataset is empty"),
        ("dataset,fold,label,prediction\nset,,0,0\n", r"line 2: fold is empty"),
        ("dataset,label,prediction\nset,0.5,0\n", r"line 2: label '0.5' is neither a class index nor a name"),
        ("dataset,label,prediction,count\nset,0,0,-2\n", r"line 2: count '-2' is not a whole number of 0 or more"),
        ("dataset,label,prediction,count\nset,0,0,1.5\n", r"line 2: count '1.5' is not"),
        ("dataset,label,prediction,count\nset,0,0,\n", r"line 2: count is empty"),
        ("dataset,label,prediction\nset,0,0,0\n", r"predictions.csv is not readable as CSV"),
    ],
)
def test_a_broken_file_is_an_error_that_names_the_place(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(BenchError, match=f"(?s){expected}"):
        read_predictions(csv(tmp_path, text))


def test_a_missing_file_a_folder_and_garbage_are_errors_that_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "noise.csv").write_bytes(b"\xff\xfe\x00\x9d" * 50)
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(BenchError, match=r"absent\.csv does not exist"):
        read_predictions(tmp_path / "absent.csv")
    with pytest.raises(BenchError, match=f"{tmp_path} cannot be opened"):
        read_predictions(tmp_path)
    with pytest.raises(BenchError, match=r"noise\.csv is not readable as CSV in UTF-8"):
        read_predictions(tmp_path / "noise.csv")
    with pytest.raises(BenchError, match=r"cut\.parquet is not readable as Parquet"):
        read_predictions(tmp_path / "cut.parquet")


def test_an_empty_label_in_parquet_is_named_by_its_row(tmp_path: Path) -> None:
    pd.DataFrame({"dataset": "set", "label": [1.0, None], "prediction": 0}).to_parquet(tmp_path / "p.parquet")

    with pytest.raises(BenchError, match="row 2: label is empty"):
        read_predictions(tmp_path / "p.parquet")
