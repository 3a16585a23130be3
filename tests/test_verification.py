"""A results folder that was altered, or that says something else than a published one, is told so by name."""

import pandas as pd
import pytest

from convergent.files import save_json
from convergent.verification import checksums, main


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "results"
    (folder / "tables").mkdir(parents=True)
    summary = {"population": "trained", "layer": ["1", "2"], "measure": "match_mean", "pairs": 6}
    summary |= {"mean": [0.5, 0.4], "standard_deviation": [0.02, 0.0], "minimum": 0.3, "maximum": 0.6}
    pd.DataFrame(summary).to_csv(folder / "tables/summary.csv", index=False)
    pd.DataFrame({"claim": ["Q1", "Q1.core"], "verdict": ["supported", "not tested"]}).to_csv(
        folder / "claims.csv", index=False
    )
    save_json(folder / "provenance.json", {"checksums": checksums(folder)})
    assert main([str(folder), str(tmp_path / "stored.csv"), "--store"]) == 0
    return folder


def verify(folder, capsys):
    code = main([str(folder), str(folder.parent / "stored.csv")])
    return code, capsys.readouterr().out


def change(folder, name, column, row, value):
    table = pd.read_csv(folder / name)
    table.loc[row, column] = value
    table.to_csv(folder / name, index=False)
    save_json(folder / "provenance.json", {"checksums": checksums(folder)})


def test_the_same_results_are_confirmed(results, capsys):
    code, printed = verify(results, capsys)
    assert code == 0 and "2 numbers and 2 verdicts compared" in printed and "all within their tolerances" in printed


@pytest.mark.parametrize(("value", "code"), [(0.55, 0), (0.57, 1), (None, 1)])
def test_numbers_may_differ_within_their_tolerance(results, capsys, value, code):
    change(results, "tables/summary.csv", "mean", 0, value)
    found, printed = verify(results, capsys)
    assert found == code and ("trained 1 match_mean is" in printed) == bool(code)


def test_a_number_without_spread_may_differ_by_little(results, capsys):
    change(results, "tables/summary.csv", "mean", 1, 0.4085)
    assert verify(results, capsys)[0] == 0
    change(results, "tables/summary.csv", "mean", 1, 0.42)
    code, printed = verify(results, capsys)
    assert code == 1 and "trained 2 match_mean is 0.42, published is 0.4 with a tolerance of 0.01" in printed


def test_another_verdict_is_named(results, capsys):
    change(results, "claims.csv", "verdict", 0, "not supported")
    code, printed = verify(results, capsys)
    assert code == 1 and "the verdict on Q1 is `not supported`, published is `supported`" in printed


def test_a_file_that_was_altered_after_the_study_is_named(results, capsys):
    (results / "claims.csv").write_text((results / "claims.csv").read_text() + "\n")
    code, printed = verify(results, capsys)
    assert code == 1 and "claims.csv has changed since the study ended" in printed
    (results / "tables/summary.csv").rename(results / "tables/other.csv")
    code, printed = verify(results, capsys)
    assert code == 2 and "Error:" in printed and "summary.csv does not exist" in printed


def test_results_without_provenance_are_refused_in_a_sentence(results, capsys):
    (results / "provenance.json").unlink()
    code, printed = verify(results, capsys)
    assert code == 2 and "provenance.json does not exist" in printed


def test_a_study_beside_the_main_one_has_checksums_of_its_own(results, capsys):
    (results / "noise").mkdir()
    (results / "noise/criteria.csv").write_text("criterion,value\nA1,0.5\n")
    save_json(results / "noise/provenance.json", {"checksums": checksums(results / "noise")})
    assert verify(results, capsys)[0] == 0
    (results / "noise/criteria.csv").write_text("criterion,value\nA1,0.6\n")
    code, printed = verify(results, capsys)
    assert code == 1 and "results/noise: criteria.csv has changed" in printed
