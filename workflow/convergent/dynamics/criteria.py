"""Do networks keep to the effective theory? Statistics of the tables of the study of dynamics, with intervals.

van Rossem & Saxe 2024; the paper gives no criteria, these are the project's. A statistic is the median over seeds,
unless its function says otherwise; intervals hold 95 % of bootstrap draws of seeds, drawn in each setting by itself.
Runs that did not converge take no part, and are counted by the table of fits.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from convergent.draws import generator
from convergent.dynamics.context import pearson
from convergent.dynamics.fitting import pairwise_r2
from convergent.dynamics.settings import ARCHITECTURES, GAINS
from convergent.dynamics.theory import VARIANTS
from convergent.resampling import CONFIDENCE

DRAWS = 500
PLACE_COLUMNS = ("experiment", "setting")
REPLICATES = "seeds"
COLUMNS = ("statistic", *PLACE_COLUMNS, "value", "low", "high", REPLICATES)

LEAST_R2, LARGEST_DEVIATION = 0.95, 0.1  # with which a setting agrees with the theory
OVERALL = "architectures"  # place of what is said of the eleven together

Statistic = Callable[..., float]


def estimate(statistic: Statistic, groups: Sequence[np.ndarray], draws: int, *names: str | int) -> dict[str, float]:
    """A statistic and the ends of its interval.

    Args:
        statistic: of as many arrays as there are groups.
        groups: arrays whose first axis is over seeds; each is drawn with replacement by itself.
        draws: of seeds.
        names: of these draws.

    Returns:
        value, low and high; NaN where a group is empty.
    """
    if any(not len(group) for group in groups):
        return dict.fromkeys(("value", "low", "high"), np.nan)
    value = float(statistic(*groups))
    if any(len(group) < 2 for group in groups):
        return {"value": value, "low": np.nan, "high": np.nan}  # nothing to draw
    random = generator("dynamics criteria", *names)
    drawn = [
        statistic(*(group[random.integers(len(group), size=len(group))] for group in groups)) for _ in range(draws)
    ]
    half = 50 * (1 - CONFIDENCE)
    low, high = np.nanpercentile(drawn, [half, 100 - half]) if not np.isnan(drawn).all() else (np.nan, np.nan)
    return {"value": value, "low": float(low), "high": float(high)}


def row(statistic: str, experiment: str, place: str, found: Mapping[str, float], count: int) -> dict:
    """A row of the table of criteria."""
    return {"statistic": statistic, "experiment": experiment, "setting": place, **found, REPLICATES: count}


def median(values: np.ndarray) -> float:
    """Median over seeds, NaN left out."""
    return float(np.nanmedian(values)) if not np.isnan(values).all() else np.nan


def all_criteria(tables: Mapping[str, pd.DataFrame], draws: int = DRAWS, seed: int = 0) -> list[dict]:
    """Every statistic that the tables allow, with intervals over seeds.

    Args:
        tables: fits, rises, distances, xor, context, structure and bridge, of `analysis`; any may be empty.
        draws: of seeds, for intervals.
        seed: of these draws.

    Returns:
        rows of `COLUMNS`.
    """
    fits = tables["fits"]
    fits = fits[fits["converged"]] if len(fits) else fits
    parts = [
        *(setting_rows(of(fits, experiment), experiment, draws, seed) for experiment in ("two_point", "trajectories")),
        overall_rows(of(fits, "two_point"), draws, seed),
        gain_rows(of(fits, "two_point"), draws, seed),
        alternative_rows(of(fits, "alternatives"), draws, seed),
        depth_rows(of(fits, "depth"), draws, seed),
        rise_rows(tables["rises"], draws, seed),
        distance_rows(tables["distances"], draws, seed),
        xor_rows(tables["xor"], draws, seed),
        plain_rows(tables["context"], "context", draws, seed),
        plain_rows(tables["structure"], "structure", draws, seed),
        bridge_rows(tables["bridge"], draws, seed),
    ]
    return [entry for part in parts for entry in part]


def of(table: pd.DataFrame, experiment: str) -> pd.DataFrame:
    """The rows of one experiment."""
    return table[table["experiment"] == experiment] if len(table) else table


# --- Fits ------------------------------------------------------------------------------------------------------------


def end_deviation(fits: pd.DataFrame) -> pd.Series:
    """How far the final distance is from the closed form, relative to it."""
    return (fits["hidden_end"] - fits["hidden_theory"]).abs() / fits["hidden_end"]


def per_network(fits: pd.DataFrame) -> pd.DataFrame:
    """One row for each network: the median over the pairs of images that were followed in it."""
    numbers = ["r2", "r2_hidden", "r2_output", "r2_overlap", "r2_loss", "phase_r2", "plateau", "half_rise_ratio"]
    return fits.assign(end_deviation=end_deviation(fits)).groupby("seed")[[*numbers, "end_deviation"]].median()


def setting_rows(fits: pd.DataFrame, experiment: str, draws: int, seed: int) -> list[dict]:
    """Of each setting: how well curves, loss and final distance follow the theory."""
    found = []
    for name, own in fits.groupby("setting", sort=False) if len(fits) else ():
        table = per_network(own)
        for column in table:
            values = table[column].dropna().to_numpy()
            if len(values):
                value = estimate(median, [values], draws, seed, experiment, name, column)
                found.append(row(column, experiment, name, value, len(values)))
    return found


def overall_rows(fits: pd.DataFrame, draws: int, seed: int) -> list[dict]:
    """Of the eleven architectures together: how many agree with the theory, and how bad the worst fit is."""
    own = [per_network(fits[fits["setting"] == name]) for name in ARCHITECTURES] if len(fits) else []
    if not own or any(not len(table) for table in own):
        return []
    groups = [table[["r2", "end_deviation"]].to_numpy() for table in own]

    def agreeing(*groups: np.ndarray) -> float:
        medians = [np.median(group, axis=0) for group in groups]
        return float(sum(r2 >= LEAST_R2 and deviation <= LARGEST_DEVIATION for r2, deviation in medians))

    def lowest(*groups: np.ndarray) -> float:
        return float(min(np.median(group[:, 0]) for group in groups))

    count = min(map(len, groups))
    found = [
        row(name, "two_point", OVERALL, estimate(function, groups, draws, seed, name), count)
        for name, function in (("agreeing_settings", agreeing), ("lowest_r2", lowest))
    ]
    phases = [table["phase_r2"].to_numpy() for table in own]
    middle = estimate(lambda *groups: median(np.array([median(g) for g in groups])), phases, draws, seed, "phase")
    return [*found, row("phase_r2", "two_point", OVERALL, middle, count)]


def gain_rows(fits: pd.DataFrame, draws: int, seed: int) -> list[dict]:
    """Of each initial gain: the final distance over the initial one, which the lazy limit says is 1."""
    found = []
    for name in GAINS if len(fits) else ():
        own = fits[fits["setting"] == name]
        if len(own):
            kept = (own["hidden_end"] / own["hidden_start"]).to_numpy()
            value = estimate(median, [kept], draws, seed, "kept", name)
            found.append(row("kept_distance", "two_point", name, value, len(kept)))
    return found


def alternative_rows(fits: pd.DataFrame, draws: int, seed: int) -> list[dict]:
    """Of each changed equation: its residual over the theory's; and how often the theory's is the smallest."""
    if not len(fits):
        return []
    residuals = fits.pivot(index="seed", columns="variant", values="residual")[list(VARIANTS)].dropna().to_numpy()
    if not len(residuals):
        return []
    ratios = residuals / residuals[:, :1]
    found = [
        row(
            "alternative_ratio",
            "alternatives",
            variant,
            estimate(median, [ratios[:, number]], draws, seed, variant),
            len(ratios),
        )
        for number, variant in enumerate(VARIANTS)
        if number
    ]
    best = estimate(lambda values: float((values.argmin(axis=1) == 0).mean()), [residuals], draws, seed, "best")
    return [*found, row("theory_best", "alternatives", "default", best, len(residuals))]


def depth_rows(fits: pd.DataFrame, draws: int, seed: int) -> list[dict]:
    """Over the layers of a deep network: where the theory fits, and how its rates change."""
    found = []
    for name, own in fits.groupby("setting", sort=False) if len(fits) else ():
        arrays = {
            column: own.pivot(index="seed", columns="layer", values=column).sort_index(axis=1).dropna().to_numpy()
            for column in ("residual", "hidden_rate", "output_rate", "r2")
        }
        layers = np.sort(own["layer"].unique()).astype(float)
        statistics = {
            "best_layer": ("residual", lambda values, layers=layers: median(layers[values.argmin(axis=1)])),
            "first_layer_excess": ("residual", lambda values: median(values[:, 0] / values.min(axis=1))),
            "hidden_rate_rank": (
                "hidden_rate",
                lambda values, layers=layers: median(rank_correlations(values, layers)),
            ),
            "output_rate_peak": ("output_rate", lambda values, layers=layers: median(layers[values.argmax(axis=1)])),
            "first_layer_r2": ("r2", lambda values: median(values[:, 0])),
            "best_layer_r2": ("r2", lambda values: median(values.max(axis=1))),
        }
        for statistic, (column, function) in statistics.items():
            values = arrays[column]
            found.append(row(statistic, "depth", name, estimate(function, [values], draws, seed, name), len(values)))
    return found


def rank_correlations(values: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Spearman's correlation of each row of `values` with x."""
    ranks, others = rankdata(values, axis=1), rankdata(x)
    ranks, others = ranks - ranks.mean(axis=1, keepdims=True), others - others.mean()
    return ranks @ others / np.sqrt((ranks**2).sum(axis=1) * (others**2).sum())


# --- Universality ----------------------------------------------------------------------------------------------------


def rise_rows(rises: pd.DataFrame, draws: int, seed: int) -> list[dict]:
    """How far the curves of the architectures coincide, rescaled by the theory and as they are.

    The median over pairs of architectures of the share of one's variance that the other explains; each architecture is
    the mean over its seeds.
    """
    found = []
    for kind, own in rises.groupby("kind", sort=False) if len(rises) else ():
        own = own[own["setting"].isin(ARCHITECTURES)]
        groups = [
            table.pivot(index="seed", columns="position", values="value").sort_index(axis=1).to_numpy()
            for _, table in own.groupby("setting", sort=False)
        ]
        if len(groups) < 2:
            continue
        value = estimate(coincidence, groups, draws, seed, kind)
        found.append(row(f"coincidence_{kind}", "two_point", OVERALL, value, min(map(len, groups))))
    return found


def coincidence(*groups: np.ndarray) -> float:
    """Median over ordered pairs of R2 between the mean curves of groups, each (seeds, positions)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # nothing but NaN where no seed has a value
        curves = np.array([np.nanmean(group, axis=0) for group in groups])
    return median(pairwise_r2(curves)[~np.eye(len(curves), dtype=bool)])


# --- Structure -------------------------------------------------------------------------------------------------------


def distance_rows(distances: pd.DataFrame, draws: int, seed: int) -> list[dict]:
    """Of each setting: the closed form against the final distances of networks on a grid of data; draws of networks."""
    found = []
    for name, own in distances.groupby("setting", sort=False) if len(distances) else ():
        own = own[own["converged"] & own["theory"].notna()]
        values = own[["theory", "measured"]].to_numpy(dtype=float)
        statistics = {
            "distance_correlation": lambda values: pearson(values[:, 0], values[:, 1]),
            "distance_r2": lambda values: identity_r2(values[:, 1], values[:, 0]),
            "distance_slope": lambda values: float((values[:, 0] @ values[:, 1]) / (values[:, 0] @ values[:, 0])),
        }
        for statistic, function in statistics.items():
            value = estimate(function, [values], draws, seed, name, statistic)
            found.append(row(statistic, "distances", name, value, len(values)))
    return found


def identity_r2(measured: np.ndarray, theory: np.ndarray) -> float:
    """Share of the variance that the theory explains as it is; NaN if nothing varies. What one lacks is left out."""
    measured, theory = np.asarray(measured, dtype=float), np.asarray(theory, dtype=float)
    known = np.isfinite(measured) & np.isfinite(theory)
    measured, theory = measured[known], theory[known]
    total = np.sum((measured - measured.mean()) ** 2) if len(measured) else 0.0
    return float(1 - np.sum((measured - theory) ** 2) / total) if total > 0 else np.nan


def xor_rows(xor: pd.DataFrame, draws: int, seed: int) -> list[dict]:
    """Of each initialisation: distances between the four points, in theory, before and after training."""
    found = []
    for name, own in xor[xor["converged"]].groupby("case", sort=False) if len(xor) else ():
        own = own.sort_values(["seed", "a", "b"])
        arrays = {
            column: np.stack([table[column].to_numpy() for _, table in own.groupby("seed")])
            for column in ("initial", "theory", "measured")
        }
        first = own[own["seed"] == own["seed"].iloc[0]]
        within = (first["target_a"] == first["target_b"]).to_numpy()
        values = np.stack([arrays["initial"], arrays["theory"], arrays["measured"]], axis=1)  # (seeds, 3, pairs)

        def separation(values: np.ndarray, within: np.ndarray = within) -> float:
            measured = values[:, 2]
            longest = np.maximum(measured[:, within].max(axis=1), np.finfo(float).eps)
            return median(measured[:, ~within].min(axis=1) / longest)

        def scale(values: np.ndarray, within: np.ndarray = within) -> float:
            return median(np.median(values[:, 2, ~within] / values[:, 1, ~within], axis=1))

        statistics = {
            "separation": separation,
            "scale": scale,
            "structure_correlation": lambda values: median(np.array([pearson(one[1], one[2]) for one in values])),
            "initial_correlation": lambda values: median(np.array([pearson(one[0], one[2]) for one in values])),
        }
        for statistic, function in statistics.items():
            value = estimate(function, [values], draws, seed, name, statistic)
            found.append(row(statistic, "xor", name, value, len(values)))
    return found


def plain_rows(table: pd.DataFrame, experiment: str, draws: int, seed: int) -> list[dict]:
    """Medians over seeds of what each network has by itself: columns case, seed, statistic, value, converged."""
    found = []
    table = table[table["converged"]] if len(table) else table
    for (case, statistic), own in table.groupby(["case", "statistic"], sort=False) if len(table) else ():
        values = own["value"].dropna().to_numpy(dtype=float)
        value = estimate(median, [values], draws, seed, experiment, case, statistic)
        found.append(row(statistic, experiment, case, value, len(values)))
    return found


def bridge_rows(bridge: pd.DataFrame, draws: int, seed: int) -> list[dict]:
    """Similarity of representations between architectures: its rise over learning, and what it lacks of that within.

    Draws are of pairs of networks.
    """
    found = []
    for (experiment, measure), own in bridge.groupby(["experiment", "measure"], sort=False) if len(bridge) else ():
        arrays = {
            kind: table.pivot_table(index=["setting_a", "setting_b", "pair"], columns="progress", values="value")
            .sort_index(axis=1)
            .dropna()
            .to_numpy()
            for kind, table in own.groupby("kind", sort=False)
        }
        other, same = arrays.get("other architecture"), arrays.get("same architecture")
        if other is None or not len(other):
            continue
        rise = estimate(lambda values: median(values[:, -1] - values[:, 0]), [other], draws, seed, measure)
        found.append(row("rise", f"bridge {experiment}", measure, rise, len(other)))
        end = estimate(lambda values: median(values[:, -1]), [other], draws, seed, measure)
        found.append(row("end", f"bridge {experiment}", measure, end, len(other)))
        if same is not None and len(same):
            gap = estimate(
                lambda other, same: median(same[:, -1]) - median(other[:, -1]), [other, same], draws, seed, measure
            )
            found.append(row("gap", f"bridge {experiment}", measure, gap, len(other)))
    return found
