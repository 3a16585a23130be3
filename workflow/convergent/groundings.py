"""Is a measure of similarity worth believing? Tests whose answer is known, and how far measures agree with each other.

A layer should be most like the same layer of another network (Kornblith et al. 2019), a trained network more like a
trained than an untrained one, and a copy with more noise less like the original (Ding, Denain & Steinhardt 2021;
Klabunde et al. 2024). All from a table of similarities: population, layer_a, layer_b, measure, network_a, network_b,
value. A value that is NaN is undefined. A symmetric measure has each pair of networks once, any other in both orders.
"""

import re
from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from convergent.claims import AGAINST_UNTRAINED
from convergent.resampling import TRAINED, interval, jackknife_error, leave_one_out, weighted_means

NOISY = "noisy_"  # populations of noisy copies; the level follows
ROUNDING = 1e-12  # values this close are equal
LEAST_CASES = 3  # of a rank correlation
OTHER_SIDE = {"network_a": "network_b", "network_b": "network_a", "layer_a": "layer_b", "layer_b": "layer_a"}


class Identification(NamedTuple):
    """How often a layer is found among the layers of another network."""

    share: float  # of the cases in which the same layer is the most similar; NaN without a case
    chance: float  # the share that a measure without any information has
    cases: int  # layers of ordered pairs that are counted
    left_out: int  # those that are not, because a similarity to some layer is undefined


class Share(NamedTuple):
    """How often a comparison comes out as it should; ties count one half."""

    share: float  # NaN without a case
    cases: int  # those whose two similarities both have a value


def both_directions(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of one population for every ordered pair of networks, those of symmetric measures turned round as well.

    A measure is taken to be symmetric if no pair of networks stands in both orders.
    """
    pairs = table[["measure", "network_a", "network_b"]].drop_duplicates()
    pairs = pairs[pairs["network_a"] != pairs["network_b"]]
    asymmetric = pairs.merge(pairs.rename(columns=OTHER_SIDE))["measure"]
    turned = ~table["measure"].isin(asymmetric) & (table["network_a"] != table["network_b"])
    return pd.concat([table, table[turned].rename(columns=OTHER_SIDE)], ignore_index=True)


def layer_identification(table: pd.DataFrame) -> dict[str, Identification]:
    """How often the layer of b that is most similar to a layer of a is the same one.

    Args:
        table: columns population, layer_a, layer_b, measure, network_a, network_b, value; trained networks count.

    Returns:
        measure -> `Identification` over all ordered pairs of networks and the layers that both have; the layer is
        looked for among all of b's. Of n layers that are equally similar each counts 1 / n.

    Source: Kornblith et al. 2019, section 6.1.
    """
    return {
        measure: Identification(
            *(cases.loc[cases["hit"].notna(), column].mean() for column in ("hit", "chance")),
            *(int(which.sum()) for which in (cases["hit"].notna(), cases["hit"].isna())),
        )
        for measure, cases in identification_cases(table).groupby("measure", sort=False)
    }


def identification_cases(table: pd.DataFrame) -> pd.DataFrame:
    """One row for each case of `layer_identification`: measure, network_a, network_b, layer_a, hit (0 to 1), chance.

    The hit is NaN where the similarity to some layer is undefined: the one that is missing could be the largest.
    """
    rows = both_directions(table[table["population"] == TRAINED])
    keys = [rows[key] for key in ("measure", "network_a", "layer_a", "network_b")]
    similarities = rows["value"].groupby(keys, sort=False)
    layers, known = similarities.transform("size"), similarities.transform("count")
    best = rows["value"] >= similarities.transform("max") - ROUNDING
    hit = (best / best.groupby(keys, sort=False).transform("sum")).where(known == layers)
    rows = rows.assign(hit=hit, chance=1 / layers)[rows["layer_a"] == rows["layer_b"]]
    return rows[["measure", "network_a", "network_b", "layer_a", "hit", "chance"]].reset_index(drop=True)


def trained_from_untrained(table: pd.DataFrame) -> dict[str, Share]:
    """How often a layer of a trained network is more like that of another trained than of another untrained network.

    Args:
        table: columns population, layer_a, layer_b, measure, network_a, network_b, value; the populations `trained`
            and `against_untrained` (network_a is the trained one) count.

    Returns:
        measure -> `Share` of the ordered pairs a, b and their common layers with s(trained a, trained b) above
        s(trained a, untrained b).

    Source: after Klabunde et al. 2024 and Ding, Denain & Steinhardt 2021: a difference in what the networks can do
        should show in their similarity.
    """
    return shares(trained_cases(table))


def trained_cases(table: pd.DataFrame) -> pd.DataFrame:
    """One row for each case of `trained_from_untrained`: measure, network_a, network_b, layer_a, hit (0, 1/2, 1)."""
    same = table[table["layer_a"] == table["layer_b"]]
    keys = ["measure", "network_a", "network_b", "layer_a"]
    trained = both_directions(same[same["population"] == TRAINED])[[*keys, "value"]]
    untrained = same[same["population"] == AGAINST_UNTRAINED][[*keys, "value"]]
    both = trained.merge(untrained, on=keys, suffixes=("", "_untrained"))
    return both.assign(hit=larger(both["value"], both["value_untrained"]))[[*keys, "hit"]]


def noise_order(table: pd.DataFrame) -> dict[str, Share]:
    """How often a copy with more noise is less like the original than one with less.

    Args:
        table: columns population, layer_a, layer_b, measure, network_a, network_b, value; the populations `noisy_0.1`,
            `noisy_0.3`, ... count.

    Returns:
        measure -> `Share` of the pairs of levels, over networks and layers, in which the higher level scores lower.

    Source: after Ding, Denain & Steinhardt 2021: a larger intervention should leave less similarity.
    """
    level = pd.to_numeric(table["population"].str.extract(f"^{re.escape(NOISY)}(.+)$")[0], errors="coerce")
    rows = table.assign(level=level)[level.notna()]
    by_level = rows.groupby(["measure", "network_a", "layer_a", "level"])["value"].mean().unstack().sort_index(axis=1)
    compared = [larger(by_level[low], by_level[high]) for low, high in combinations(by_level.columns, 2)]
    if not compared:
        return {}
    hits = pd.concat(compared).rename("hit").reset_index()
    found = shares(hits)
    return {measure: found[measure] for measure in dict.fromkeys(rows["measure"])}


def larger(first: pd.Series, second: pd.Series) -> pd.Series:
    """1 where the first value is larger, 1/2 where they are equal, 0 where it is smaller; NaN if one is undefined."""
    above, below = first > second + ROUNDING, second > first + ROUNDING
    return ((1.0 + above - below) / 2).where(first.notna() & second.notna())


def shares(cases: pd.DataFrame) -> dict[str, Share]:
    """Mean of the column hit over the cases that have one, for each measure."""
    groups = cases.groupby("measure", sort=False)["hit"]
    return {measure: Share(float(hits.mean()), int(hits.count())) for measure, hits in groups}


def groundings(table: pd.DataFrame, measures: Mapping[str, Mapping | None] | None = None) -> list[dict]:
    """What all the tests say of each measure.

    Args:
        table: columns population, layer_a, layer_b, measure, network_a, network_b, value.
        measures: name -> facts, which become further columns, or None; None: all measures of the table.

    Returns:
        One row per measure, in the order given: measure; layer_identification and trained_from_untrained, each with
        _low and _high; layer_identification_chance; noise_order; undefined, the share of NaN among the similarities of
        trained networks. NaN where there is no case. The limits are those of the 95 % interval over networks: jackknife
        error, Student's t of N - 1 degrees of freedom, at least 0, at most 1; NaN for fewer than three networks. Where
        every case comes out alike the interval has no length, which says nothing of further networks.

    Source: Kornblith et al. 2019; Ding, Denain & Steinhardt 2021; Klabunde et al. 2024.
    """
    identified, separated, ordered = layer_identification(table), trained_from_untrained(table), noise_order(table)
    cases = [dict(list(found.groupby("measure"))) for found in (identification_cases(table), trained_cases(table))]
    undefined = (
        table[table["population"] == TRAINED].groupby("measure")["value"].agg(lambda values: values.isna().mean())
    )
    nothing = Identification(np.nan, np.nan, 0, 0)
    rows = []
    for measure, facts in (measures or dict.fromkeys(table["measure"])).items():
        limits = [limits_over_networks(found[measure]) if measure in found else (np.nan, np.nan) for found in cases]
        rows.append(
            {
                "measure": measure,
                "layer_identification": identified.get(measure, nothing).share,
                "layer_identification_low": limits[0][0],
                "layer_identification_high": limits[0][1],
                "layer_identification_chance": identified.get(measure, nothing).chance,
                "trained_from_untrained": separated.get(measure, nothing).share,
                "trained_from_untrained_low": limits[1][0],
                "trained_from_untrained_high": limits[1][1],
                "noise_order": ordered.get(measure, nothing).share,
                "undefined": float(undefined.get(measure, np.nan)),
            }
            | dict(facts or {})
        )
    return rows


def limits_over_networks(cases: pd.DataFrame) -> tuple[float, float]:
    """95 % interval of the mean hit over networks: the networks are the replicates, never pairs or layers.

    Args:
        cases: columns network_a, network_b, hit; of the ordered pairs of different networks.

    Returns:
        low and high, within 0 to 1; NaN for fewer than three networks.
    """
    cases = cases.dropna(subset=["hit"])
    numbers, networks = pd.factorize(np.concatenate([cases["network_a"], cases["network_b"]]))
    sums, counts = np.zeros((2, len(networks), len(networks)))
    place = tuple(numbers.reshape(2, -1))
    np.add.at(sums, place, cases["hit"])
    np.add.at(counts, place, 1.0)
    # Pairs differ in their number of cases, so the share is a ratio of two sums over the same pairs.
    hits, every = (
        weighted_means(np.where(counts > 0, totals, np.nan), leave_one_out(len(networks))) for totals in (sums, counts)
    )
    low, high, _ = interval(cases["hit"].mean(), jackknife_error(hits / every), np.nan, len(networks), (0.0, 1.0))
    return low, high


def agreement(table: pd.DataFrame, population: str = TRAINED) -> tuple[list[str], np.ndarray]:
    """Spearman's rank correlation between each two measures: do they put pairs of layers in the same order?

    Args:
        table: columns population, layer_a, layer_b, measure, network_a, network_b, value.
        population: whose similarities are compared, `trained` or `untrained`.

    Returns:
        The measures in the order of the table, and their correlations (measures, measures) over all unordered pairs of
        networks, each layer of one with each of the other; measures that are not symmetric are averaged over both
        directions. A case that is undefined by one of the two measures is left out; NaN where fewer than three cases
        are left or one measure is constant.

    Source: after Klabunde et al. 2024.
    """
    rows = table[table["population"] == population]
    turned = rows["network_a"] > rows["network_b"]
    rows = pd.concat([rows[~turned], rows[turned].rename(columns=OTHER_SIDE)])
    measures = list(dict.fromkeys(table.loc[table["population"] == population, "measure"]))
    case = rows.groupby(["network_a", "network_b", "layer_a", "layer_b"]).ngroup().to_numpy()
    shape = case.max(initial=-1) + 1, len(measures)
    sums, counts = np.zeros((2, *shape))
    place = case, pd.Index(measures).get_indexer(rows["measure"])
    # Undefined in one direction is undefined.
    np.add.at(sums, place, rows["value"])
    np.add.at(counts, place, 1.0)
    values = np.divide(sums, counts, out=np.full(shape, np.nan), where=counts > 0)
    return measures, pd.DataFrame(values).corr(method="spearman", min_periods=LEAST_CASES).to_numpy(copy=True)
