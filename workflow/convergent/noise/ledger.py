"""Verdicts on what is claimed of noise and sample size, from the table of criteria with their intervals.

Umar & Laio 2026; the claims and their bounds stand in noise_claims.yaml, none in here. A claim is one statistic of
one protocol, asked of several measures, ratios and sizes: the one that is furthest from keeping to the bound decides.
"""

from collections.abc import Sequence
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


class NoiseClaim(NamedTuple):
    """One entry of noise_claims.yaml, whose head says what each field means."""

    claim: str
    statement: str
    source: str
    statistic: str
    protocol: str
    variants: list[str]
    measures: list[str]
    quantity: str
    bound: dict[str, float]
    figure: str
    core: bool = False
    counts: bool = True
    ratios: float = 0.0
    remark: str = ""


def load_noise_claims(path: str | Path) -> list[Question]:
    """Questions with their claims, checked.

    Raises:
        StudyError: the file cannot be read, or an entry lacks a field or has an unknown one.
    """
    questions = []
    for entry in ledger_entries(path):
        where = f"{path}: question `{entry.get('question', '?')}`"
        check_fields(entry, where, required_of(Question), Question._fields)
        claims = []
        for claim in entry["claims"]:
            where = f"{path}: claim `{claim.get('claim', '?')}`"
            check_fields(claim, where, required_of(NoiseClaim), NoiseClaim._fields)
            claims.append(NoiseClaim(**claim)._replace(bound=read_bound(claim["bound"], where)))
        questions.append(Question(**entry)._replace(claims=claims))
    return questions


def judge_noise(questions: Sequence[Question], criteria: pd.DataFrame) -> list[dict]:
    """A verdict on every claim, and on each question before its claims.

    Args:
        questions: of `load_noise_claims`.
        criteria: columns of `criteria.COLUMNS`.

    Returns:
        rows with the keys of `claims.CLAIM_COLUMNS`; NaN where there is no number.
    """
    rows = []
    for question in questions:
        judged = [judge_noise_claim(claim, criteria) for claim in question.claims]
        rows += [question_row(question, judged), *judged]
    return rows


def judge_noise_claim(claim: NoiseClaim, criteria: pd.DataFrame) -> dict:
    """The row of one claim: that of the measure, ratio and size with the least slack."""
    kept = (criteria["statistic"] == claim.statistic) & (criteria["protocol"] == claim.protocol)
    kept &= criteria["variant"].isin(claim.variants) & criteria["measure"].isin(claim.measures)
    # A statistic over all ratios has none, and is kept.
    found = criteria[kept & ~(criteria["snr"] < claim.ratios)]
    lacking = [
        f"{measure} of {claim.protocol} {variant}"
        for variant in claim.variants
        for measure in claim.measures
        if not ((found["measure"] == measure) & (found["variant"] == variant)).any()
    ]
    sides = " and ".join(f"{BOUNDS[side]} {limit:g}" for side, limit in claim.bound.items())
    row = dict.fromkeys(CLAIM_COLUMNS, "") | {
        "claim": claim.claim,
        "source": claim.source,
        "statement": claim.statement,
        "criterion": f"{claim.quantity}: {sides}",
        "baseline": np.nan,
        "agreeing_draws": np.nan,
        "figure": claim.figure,
        "replicates": "repetitions",
    }
    unknown = dict.fromkeys(("measured", "ci_low", "ci_high"), np.nan) | {"verdict": NOT_TESTED}
    if lacking or not len(found):
        return row | unknown | {"reason": f"the study has no {claim.statistic} of {', '.join(lacking)}"}
    values = found["value"].to_numpy(dtype=float)
    # argmin takes a NaN for the smallest: nothing can be said without it.
    deciding = found.iloc[int(np.argmin(slack_of(values, claim.bound)))]
    place = [claim.protocol, deciding["variant"], deciding["measure"]]
    place += [f"{name} {deciding[column]:g}" for name, column in (("n", "n"), ("SNR", "snr")) if deciding[column] > 0]
    row |= {"where": ", ".join(map(str, place))}
    if np.isnan(deciding["value"]):
        return row | unknown | {"reason": f"undefined in {row['where']}"}
    remarks = ([] if claim.counts else [BESIDE]) + ([claim.remark] if claim.remark else [])
    return row | {
        "measured": float(deciding["value"]),
        "ci_low": float(deciding["low"]),
        "ci_high": float(deciding["high"]),
        "verdict": SUPPORTED if holds(deciding["value"], claim.bound) else NOT_SUPPORTED,
        "reason": "; ".join(remarks),
    }
