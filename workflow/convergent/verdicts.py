"""Verdicts on claims from a table of criteria: statistics with intervals, one row for each place that was measured.

The claims and their bounds stand in YAML files, none in here. A claim is one statistic, asked of several places; the
one that is furthest from keeping to the bound decides.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from convergent.claims import (
    BESIDE,
    BOUNDS,
    CLAIM_COLUMNS,
    NOT_SUPPORTED,
    NOT_TESTED,
    SUPPORTED,
    Question,
    check_fields,
    holds,
    ledger_entries,
    question_row,
    read_bound,
    required_of,
    slack_of,
)

STATISTIC_COLUMNS = ("statistic", "value", "low", "high")  # all others say where it was measured
WORDS = {"snr": "SNR"}
SMOKE = "smoke"  # the scale that shows no more than that everything runs


class CriterionClaim(NamedTuple):
    """One entry of a file of claims, whose head says what each field means."""

    claim: str
    statement: str
    source: str
    statistic: str
    quantity: str
    bound: dict[str, float]
    figure: str
    places: Mapping[str, list[str]]  # column of the table of criteria -> its values; each combination must hold
    core: bool = False
    counts: bool = True
    lowest: Mapping[str, float] = {}  # column -> smallest number that counts
    baseline: str = ""  # ending of the deciding place's last column where its baseline stands
    remark: str = ""


def load_criterion_claims(path: str | Path, columns: Sequence[str]) -> list[Question]:
    """Questions with their claims, checked.

    Args:
        columns: of the table of criteria, by which a claim says where it is asked; each is a field.

    Raises:
        StudyError: the file cannot be read, or an entry lacks a field or has an unknown one.
    """
    required = [name for name in required_of(CriterionClaim) if name != "places"]
    allowed = [name for name in CriterionClaim._fields if name != "places"] + [*columns]
    questions = []
    for entry in ledger_entries(path):
        where = f"{path}: question `{entry.get('question', '?')}`"
        check_fields(entry, where, required_of(Question), Question._fields)
        claims = []
        for claim in entry["claims"]:
            where = f"{path}: claim `{claim.get('claim', '?')}`"
            check_fields(claim, where, [*required, *columns], allowed)
            places = {name: one if isinstance(one := claim.pop(name), list) else [one] for name in columns}
            claims.append(CriterionClaim(places=places, **claim)._replace(bound=read_bound(claim["bound"], where)))
        questions.append(Question(**entry)._replace(claims=claims))
    return questions


def judge_criteria(
    questions: Sequence[Question], criteria: pd.DataFrame, replicates: str, scale: str = ""
) -> list[dict]:
    """A verdict on every claim, and on each question before its claims; none at the scale `smoke`.

    Args:
        questions: of `load_criterion_claims`.
        criteria: columns statistic, value, low, high, those that say where, and the number of replicates.
        replicates: over which the intervals were drawn; the name of that last column.
        scale: at which the study ran.

    Returns:
        rows with the keys of `claims.CLAIM_COLUMNS`; NaN where there is no number.
    """
    rows = []
    for question in questions:
        judged = [judge_criterion(claim, criteria, replicates) for claim in question.claims]
        if scale == SMOKE:
            reason = f"the scale `{SMOKE}` has too few {replicates} for a verdict"
            judged = [row | {"verdict": NOT_TESTED, "reason": reason} for row in judged]
        rows += [question_row(question, judged), *judged]
    return rows


def judge_criterion(claim: CriterionClaim, criteria: pd.DataFrame, replicates: str) -> dict:
    """The row of one claim: that of the place with the least slack."""
    found = criteria[criteria["statistic"] == claim.statistic]
    for column, values in claim.places.items():
        found = found[found[column].isin(values)]
    for column, least in claim.lowest.items():
        # What holds for all of them has no number, and is kept.
        found = found[~(found[column] < least)]
    measured = set(found[list(claim.places)].itertuples(index=False, name=None))
    lacking = [" ".join(place) for place in product(*claim.places.values()) if place not in measured]
    row = dict.fromkeys(CLAIM_COLUMNS, "") | {
        "claim": claim.claim,
        "source": claim.source,
        "statement": claim.statement,
        "criterion": f"{claim.quantity}: {' and '.join(f'{BOUNDS[s]} {limit:g}' for s, limit in claim.bound.items())}",
        "baseline": np.nan,
        "agreeing_draws": np.nan,
        "figure": claim.figure,
        "replicates": replicates,
    }
    unknown = dict.fromkeys(("measured", "ci_low", "ci_high"), np.nan) | {"verdict": NOT_TESTED}
    if lacking:
        return row | unknown | {"reason": f"the study has no {claim.statistic} of {', '.join(lacking)}"}
    # argmin takes a NaN for the smallest: nothing can be said without it.
    deciding = found.iloc[int(np.argmin(slack_of(found["value"].to_numpy(dtype=float), claim.bound)))]
    row |= {"where": where_of(deciding, [name for name in criteria if name not in (*STATISTIC_COLUMNS, replicates)])}
    if np.isnan(deciding["value"]):
        return row | unknown | {"reason": f"undefined in {row['where']}"}
    if claim.baseline:
        row |= baseline_of(claim, criteria, deciding)
    remarks = ([] if claim.counts else [BESIDE]) + ([claim.remark] if claim.remark else [])
    return row | {
        "measured": float(deciding["value"]),
        "ci_low": float(deciding["low"]),
        "ci_high": float(deciding["high"]),
        "verdict": SUPPORTED if holds(deciding["value"], claim.bound) else NOT_SUPPORTED,
        "reason": "; ".join(remarks),
    }


def baseline_of(claim: CriterionClaim, criteria: pd.DataFrame, deciding: pd.Series) -> dict[str, object]:
    """The same statistic in the place whose name ends so; nothing where there is none."""
    *same, last = claim.places
    found = criteria[(criteria["statistic"] == claim.statistic) & (criteria[last] == deciding[last] + claim.baseline)]
    for column in same:
        found = found[found[column] == deciding[column]]
    name = claim.baseline.strip("-")
    return {"baseline": float(found["value"].iloc[0]), "baseline_population": name} if len(found) else {}


def where_of(row: pd.Series, columns: Sequence[str]) -> str:
    """A place in words: names as they are, numbers after the name of their column."""
    named = [(name, row[name]) for name in columns if not pd.isna(row[name]) and row[name] != ""]
    return ", ".join(place if isinstance(place, str) else f"{WORDS.get(name, name)} {place:g}" for name, place in named)
