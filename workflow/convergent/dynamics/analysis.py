"""From what the networks did to tables: fits of the theory, curves, collapse, structure, and similarity between them.

van Rossem & Saxe 2024. A run that diverged, or whose loss stayed above `LARGEST_LOSS`, is not fitted: it stands in the
table of fits with the reason, and enters no mean.
"""

from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np
import pandas as pd

from convergent.dynamics import theory
from convergent.dynamics.context import (
    axes_cosine,
    context_task,
    feature_correlations,
    input_correlation,
    participation_ratio,
    scaled,
    target_correlation,
)
from convergent.dynamics.experiments import (
    ALTERNATIVES,
    CONTEXT,
    DEPTH,
    DISTANCES,
    EPOCHS,
    GRID_LOSS,
    INPUT_DISTANCE,
    STRUCTURE,
    TABLES,
    TARGET_DISTANCE,
    TRAJECTORIES,
    TWO_POINT,
    XOR,
    Arrays,
)
from convergent.dynamics.fitting import aligned_rise, fit_mean_rate, fit_rates, phase_plane_r2
from convergent.dynamics.images import structure_correlation
from convergent.dynamics.settings import ARCHITECTURES
from convergent.similarity import Representation, Undefined, measure_named, relate

LARGEST_LOSS = 1e-2  # of a run that converged
LARGEST_IMAGE_LOSS = 0.02  # the same of images, half of what telling no class from another gives
LARGEST_GRID_LOSS = 10 * GRID_LOSS
POINTS = 300  # of a curve in a table
FIT_COLUMNS = (
    *("experiment", "setting", "layer", "variant", "seed", "pair", "converged", "reason", "final_loss"),
    *("hidden_start", "hidden_end", "hidden_theory", "hidden_rate", "output_rate", "mean_rate", "residual"),
    *("r2", "r2_hidden", "r2_output", "r2_overlap", "r2_loss", "relative_error", "phase_r2", "plateau"),
    "half_rise_ratio",
)
CURVE_COLUMNS = ("experiment", "setting", "seed", "epoch", "quantity", "measured", "theory")
RISE_GRID = np.linspace(-6, 6, 121)  # scaled time around the crossing of a quarter
RAW_GRID = np.linspace(0, EPOCHS - 1, 121)  # epochs
LEVELS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)  # of learning, at which representations are compared
BRIDGE_MEASURES = ("cka_linear", "procrustes", "rsa_euclidean_spearman", "mutual_knn_euclidean")
OF_UNITS = ("permutation_correlation",)  # where networks have their own units, not a rotation of them
BEFORE = "-before"  # training: baselines
SAME, OTHER = "same architecture", "other architecture"


# --- Fits ------------------------------------------------------------------------------------------------------------


def fit_case(experiment: str, case: str, arrays: Arrays) -> tuple[list[dict], list[dict]]:
    """The theory fitted to each network of a case, in each layer or for each pair of images.

    Args:
        experiment, case: of `experiments.cells`.
        arrays: of `experiments.run`.

    Returns:
        rows of `FIT_COLUMNS` and of `CURVE_COLUMNS`; curves of the first pair of images alone, those that were not
        fitted without theory.
    """
    fits, curves = [], []
    for number in range(len(arrays["loss"])):
        for place, trajectory, distances in trajectories(arrays, number):
            head = {"experiment": experiment, "setting": case, "variant": theory.VARIANTS[0], "seed": number} | place
            loss = arrays["loss"][number]
            of_images = experiment == TRAJECTORIES
            reason = unusable(trajectory, loss, LARGEST_IMAGE_LOSS if of_images else LARGEST_LOSS)
            last = loss[np.isfinite(loss)][-1] if np.isfinite(loss).any() else np.nan
            head |= {"converged": not reason, "reason": reason, "final_loss": last}
            numbers, fitted = {}, np.full((4, len(loss)), np.nan)
            if not reason:
                errors = None if of_images else (arrays["mean_error"][number], loss)
                numbers, fitted = fit_one(trajectory, distances, errors)
            fits.append(dict.fromkeys(FIT_COLUMNS, np.nan) | head | numbers)
            if experiment != DEPTH and place["pair"] == 0:
                curves += curve_rows(experiment, case, number, trajectory, loss, fitted, of_images)
            if experiment == TWO_POINT and case == "default" and not reason:
                fits += alternative_fits(head, trajectory, distances)
    return fits, curves


def trajectories(arrays: Arrays, number: int) -> Iterator[tuple[dict, np.ndarray, tuple[float, float]]]:
    """What the theory is fitted to in one network: place, curves (3, epochs), squared distances of inputs, targets."""
    if "layers" in arrays:
        for index, layer in enumerate(arrays["layers"]):
            parts = arrays["hidden"][number, index], arrays["output"][number], arrays["overlap"][number]
            distances = float(arrays["input_distance"][number]), float(arrays["target_distance"][number])
            yield {"layer": int(layer), "pair": 0}, np.stack(parts), distances
    else:
        for pair in range(arrays["hidden"].shape[1]):
            parts = [arrays[name][number, pair] for name in ("hidden", "output", "overlap")]
            distances = float(arrays["input_distance"][pair]), float(arrays["target_distance"][pair])
            yield {"layer": int(arrays["layer"]), "pair": pair}, np.stack(parts), distances


def unusable(trajectory: np.ndarray, loss: np.ndarray, largest: float) -> str:
    """Why a run is not fitted; empty if it is."""
    finite = np.isfinite(loss) & np.isfinite(trajectory).all(axis=0)
    if not finite.all():
        return f"diverged at epoch {int(np.argmin(finite))}"
    if not trajectory[0, 0] > 0:
        return "both points begin at one place of the hidden layer"
    if loss[-1] > largest:
        return f"loss {loss[-1]:.2g} after {len(loss)} epochs"
    return ""


def fit_one(
    trajectory: np.ndarray, distances: tuple[float, float], errors: tuple[np.ndarray, np.ndarray] | None
) -> tuple[dict, np.ndarray]:
    """Numbers of one fit, and its curves (4, epochs): those of the trajectory and the loss (NaN without `errors`)."""
    hidden, output, _ = trajectory
    fit = fit_rates(trajectory, *distances)
    loss, mean_rate, r2_loss, flattest = np.full(len(hidden), np.nan), np.nan, np.nan, np.nan
    if errors is not None:
        mean_error, measured = errors
        mean_rate, loss, r2_loss = fit_mean_rate(measured, fit.fitted, mean_error[0], distances[1])
        flattest = plateau(measured, output, distances[1]) / (distances[1] / 8)
    end = theory.final_distance(hidden[0], output[0], fit.hidden_rate, fit.output_rate, *distances)
    numbers = {
        "hidden_start": hidden[0],
        "hidden_end": hidden[-1],
        "hidden_theory": float(end),
        "hidden_rate": fit.hidden_rate,
        "output_rate": fit.output_rate,
        "mean_rate": mean_rate,
        "residual": fit.residual,
        "r2": fit.r2,
        "r2_hidden": fit.r2_hidden,
        "r2_output": fit.r2_output,
        "r2_overlap": fit.r2_overlap,
        "r2_loss": r2_loss,
        "relative_error": fit.relative_error,
        "phase_r2": phase_plane_r2(hidden, output),
        "plateau": flattest,
        "half_rise_ratio": half_rise(fit.fitted[1], distances[1]) / half_rise(output, distances[1]),
    }
    return numbers, np.vstack([fit.fitted, loss])


def unlearned(loss: float, largest: float = LARGEST_LOSS) -> str:
    """Why a network that ended with this loss takes no part; empty if it does."""
    if not np.isfinite(loss):
        return "diverged"
    return f"ended with a loss of {loss:.2g}" if loss > largest else ""


def half_rise(output: np.ndarray, target_distance: float) -> float:
    """First epoch at which the squared output distance is half of the target's; NaN if it never is."""
    above = np.flatnonzero(output >= target_distance / 2)
    return float(max(above[0], 1)) if len(above) else np.nan


def plateau(loss: np.ndarray, output: np.ndarray, target_distance: float) -> float:
    """The loss where it changes least, relative to itself and to the time passed, between halving and the half rise.

    NaN where there is no plateau: where it never changes by less than a tenth of what a hyperbola does.
    """
    rise, halved = half_rise(output, target_distance), np.flatnonzero(loss <= loss[0] / 2)
    if np.isnan(rise) or not len(halved) or rise < 2 * max(halved[0], 1):
        return np.nan
    epochs = np.unique(np.geomspace(max(halved[0], 1), rise, 60).astype(int))
    slopes = np.abs(np.diff(np.log(loss[epochs])) / np.diff(np.log(epochs)))
    flattest = int(slopes.argmin())
    return float(loss[epochs[flattest]]) if slopes[flattest] < 0.1 else np.nan


def curve_rows(
    experiment: str,
    case: str,
    number: int,
    trajectory: np.ndarray,
    loss: np.ndarray,
    fitted: np.ndarray,
    of_images: bool,
) -> list[dict]:
    """Rows of `CURVE_COLUMNS`, thinned to `POINTS` epochs; the theory speaks of the loss of two points alone."""
    quantities = ("hidden", "output", "overlap") if of_images else ("hidden", "output", "overlap", "loss")
    chosen = np.unique(np.linspace(0, len(loss) - 1, POINTS).astype(int))
    measured = np.vstack([trajectory, loss])
    return [
        dict(
            zip(
                CURVE_COLUMNS,
                (experiment, case, number, epoch, name, measured[k, epoch], fitted[k, epoch]),
                strict=True,
            )
        )
        for k, name in enumerate(quantities)
        for epoch in map(int, chosen)
    ]


def alternative_fits(head: dict, trajectory: np.ndarray, distances: tuple[float, float]) -> list[dict]:
    """The same run fitted by each variant of the equations."""
    rows = []
    for variant in theory.VARIANTS:
        fit = fit_rates(trajectory, *distances, variant=variant)
        numbers = {name: getattr(fit, name) for name in ("residual", "r2", "r2_hidden", "r2_output", "r2_overlap")}
        rates = {"hidden_rate": fit.hidden_rate, "output_rate": fit.output_rate, "relative_error": fit.relative_error}
        own = {"experiment": ALTERNATIVES, "variant": variant}
        rows.append(dict.fromkeys(FIT_COLUMNS, np.nan) | head | own | numbers | rates)
    return rows


# --- Collapse --------------------------------------------------------------------------------------------------------


def rise_rows(cases: Mapping[str, Arrays], fits: pd.DataFrame) -> list[dict]:
    """The rise of the output distance in every run that converged, against scaled time and against epochs.

    Args:
        cases: setting -> arrays of the two-point experiment.
        fits: of the same.

    Returns:
        rows of setting, seed, kind (rescaled | raw), position, value.
    """
    usable = fits[(fits["experiment"] == TWO_POINT) & fits["converged"]].set_index(["setting", "seed"])
    rows = []
    for (name, number), fit in usable.iterrows():
        output = cases[name]["output"][number]
        epochs = np.arange(len(output), dtype=float)
        speed = np.sqrt(fit["hidden_rate"] * fit["output_rate"] * INPUT_DISTANCE * TARGET_DISTANCE)
        aligned = aligned_rise(epochs * speed, output, TARGET_DISTANCE, RISE_GRID)
        raw = np.interp(RAW_GRID, epochs, output / TARGET_DISTANCE)
        for kind, grid, values in (("rescaled", RISE_GRID, aligned), ("raw", RAW_GRID, raw)):
            rows += [
                {"setting": name, "seed": number, "kind": kind, "position": position, "value": value}
                for position, value in zip(grid, values, strict=True)
            ]
    return rows


# --- Structure -------------------------------------------------------------------------------------------------------


def mean_rates(fits: pd.DataFrame, name: str) -> tuple[float, float]:
    """Mean rates of the hidden layer and of the output over the runs of a setting that converged; NaN without any."""
    own = fits[(fits["experiment"] == TWO_POINT) & (fits["setting"] == name) & fits["converged"]]
    return (own["hidden_rate"].mean(), own["output_rate"].mean()) if len(own) else (np.nan, np.nan)


def distance_rows(name: str, arrays: Arrays, fits: pd.DataFrame) -> list[dict]:
    """Final distances on the grid of data beside the closed form, with the mean rates of the two-point fits."""
    rates = mean_rates(fits, name)
    expected = theory.final_distance(
        arrays["hidden_start"], arrays["output_start"], *rates, arrays["input_distance"], arrays["target_distance"]
    )
    return [
        {
            "setting": name,
            "input_distance": arrays["input_distance"][number],
            "target_distance": arrays["target_distance"][number],
            "seed": number,
            "converged": bool(arrays["loss_end"][number] <= LARGEST_GRID_LOSS),
            "final_loss": arrays["loss_end"][number],
            "epochs": int(arrays["epochs"][number]),
            "hidden_start": arrays["hidden_start"][number],
            "measured": arrays["hidden_end"][number],
            "theory": expected[number],
        }
        for number in range(len(expected))
    ]


def xor_rows(case: str, arrays: Arrays, fits: pd.DataFrame) -> list[dict]:
    """Distances, not squared, of all pairs of the four points, with the rates of the default network."""
    rates = mean_rates(fits, "default")
    rows = []
    for number, start in enumerate(arrays["hidden_start"]):
        reason = unlearned(arrays["loss_end"][number])
        expected = theory.final_distance(
            start, arrays["output_start"][number], *rates, arrays["input_distance"], arrays["target_distance"]
        )
        for pair, (a, b) in enumerate(arrays["pairs"]):
            rows.append(
                {"case": case, "seed": number, "a": int(a), "b": int(b)}
                | {"target_a": float(arrays["targets"][a, 0]), "target_b": float(arrays["targets"][b, 0])}
                | {
                    "initial": np.sqrt(start[pair]),
                    "theory": np.sqrt(expected[pair]),
                    "measured": np.sqrt(arrays["hidden_end"][number, pair]),
                    "final_loss": arrays["loss_end"][number],
                    "converged": not reason,
                    "reason": reason,
                }
            )
    return rows


def context_rows(case: str, arrays: Arrays) -> tuple[list[dict], list[dict]]:
    """Statistics of each network's representation in the context-dependent task, and the scaled ones of the first."""
    name, activation = case.split("-")
    task, rows = context_task(), []
    contexts = task.factors[:, 0]
    each = [(f"{case}{BEFORE}", *one) for one in enumerate(arrays["before"])]
    each += [(case, *one) for one in enumerate(arrays["representations"])]
    for place, number, representation in each:
        loss = arrays["loss"][number, -1]
        head = {"case": place, "initialisation": name, "activation": activation, "seed": number}
        head |= {"reason": unlearned(loss), "converged": not unlearned(loss)}
        if head["reason"]:
            rows.append(head | {"statistic": "final_loss", "value": loss})
            continue
        relevant, irrelevant = feature_correlations(representation, task.factors)
        statistics = {
            "input_correlation": input_correlation(representation, task.inputs),
            "target_correlation": target_correlation(representation, task.targets),
            "input_correlation_within": input_correlation(representation, task.inputs, within=contexts),
            "target_correlation_within": target_correlation(representation, task.targets, within=contexts),
            "relevant": relevant,
            "irrelevant": irrelevant,
            "axes_cosine": axes_cosine(representation, task.factors),
            "participation_ratio": participation_ratio(representation),
        }
        rows += [head | {"statistic": key, "value": value} for key, value in statistics.items()]
    first = arrays["representations"][0]
    if not np.isfinite(first).all():
        return rows, []
    found = scaled(first)
    axes = pd.DataFrame(found.coordinates, columns=["axis_1", "axis_2", "axis_3"])
    axes[["context", "x", "y"]] = task.factors[found.shown]
    axes = axes.assign(case=name, activation=activation, stress=found.stress)
    return rows, axes.to_dict("records")


def structure_rows(case: str, arrays: Arrays) -> tuple[list[dict], list[dict]]:
    """Correlation of predicted and measured distances between images, network by network; and the matrices."""
    labels, rows = arrays["labels"], []
    learned = [not unlearned(loss, LARGEST_IMAGE_LOSS) for loss in arrays["loss"][:, -1]]
    for number in range(len(arrays["measured"])):
        reason = unlearned(arrays["loss"][number, -1], LARGEST_IMAGE_LOSS)
        outcome = {"seed": number, "converged": not reason, "reason": reason}
        rows.append(outcome | {"case": case, "statistic": "accuracy", "value": arrays["accuracy"][number]})
        for prediction in ("sums", "means"):
            for name, when in (("measured", ""), ("before", BEFORE)):
                found = structure_correlation(arrays[prediction], arrays[name][number], labels)
                head = outcome | {"case": f"{case}-{prediction}{when}"}
                rows += [
                    head | {"statistic": f"{which}_correlation", "value": value}
                    for which, value in found._asdict().items()
                ]
    if not any(learned):
        return rows, []
    mean = arrays["measured"][learned].mean(axis=0)
    matrices = [
        {"case": case, "a": a, "b": b, "label_a": int(labels[a]), "label_b": int(labels[b])}
        | {"theory": arrays["sums"][a, b], "theory_mean": arrays["means"][a, b], "measured": mean[a, b]}
        for a in range(len(labels))
        for b in range(len(labels))
    ]
    return rows, matrices


# --- Similarity between networks -------------------------------------------------------------------------------------


def bridge_rows(experiment: str, cases: Mapping[str, Arrays]) -> list[dict]:
    """Similarity of representations within and between architectures, at the same levels of learning.

    Args:
        experiment: whose networks they are.
        cases: setting -> arrays with `representations` (networks, times, samples, dimensions) and `progress`
            (networks, times), from 0 at the start to 1 at the end; of networks that learned.

    Returns:
        rows of experiment, setting_a, setting_b, kind, pair, progress, measure, value: within an architecture of its
        first two networks, between architectures of the first and the second.
    """
    names = (*BRIDGE_MEASURES, *(OF_UNITS if experiment == TRAJECTORIES else ()))
    measures = {name: measure_named(name) for name in names}
    rows: list[dict] = []
    for level in LEVELS if cases else ():
        networks = {
            (name, number): Representation(at_level(arrays, number, level), f"{name} {number}")
            for name, arrays in cases.items()
            for number in range(min(2, len(arrays["progress"])))
        }
        relate(list(networks.values()))
        pairs = [((name, 0), (name, 1), SAME) for name in cases if (name, 1) in networks]
        # Never of the same seed, whose draws architectures may share.
        pairs += [((a, 0), (b, 1), OTHER) for a, b in combinations(cases, 2) if (b, 1) in networks]
        for a, b, kind in pairs:
            for name, measure in measures.items():
                try:
                    value = float(measure(networks[a], networks[b]))
                except Undefined:
                    value = np.nan
                rows.append(
                    {"experiment": experiment, "setting_a": a[0], "setting_b": b[0], "kind": kind, "pair": 0}
                    | {"progress": level, "measure": name, "value": value}
                )
    return rows


def at_level(arrays: Arrays, number: int, level: float) -> np.ndarray:
    """The representation (samples, dimensions) of a network when it had learned this much: the nearest one recorded."""
    progress = arrays["progress"][number]
    nearest = {0.0: 0, 1.0: len(progress) - 1}.get(level, int(np.abs(progress - level).argmin()))
    return arrays["representations"][number, nearest].astype(float)


def probed(arrays: Arrays, fits: pd.DataFrame, name: str) -> Arrays | None:
    """Representations of the inputs around the two points, of the networks that converged; None if fewer than one."""
    own = fits[(fits["experiment"] == TWO_POINT) & (fits["setting"] == name) & fits["converged"]]
    kept = own["seed"].to_numpy(dtype=int)
    if not len(kept) or name not in ARCHITECTURES:
        return None
    progress = arrays["output"][kept][:, arrays["probe_epochs"]] / TARGET_DISTANCE
    return {"representations": arrays["probes"][kept], "progress": progress}


def that_learned(arrays: Arrays) -> Arrays:
    """Representations of images of the networks that learned their task."""
    kept = [not unlearned(loss, LARGEST_IMAGE_LOSS) for loss in arrays["loss"][:, -1]]
    return {name: arrays[name][kept] for name in ("representations", "progress")}


# --- All of them -----------------------------------------------------------------------------------------------------


def all_tables(
    runs: Mapping[tuple[str, str], Arrays], fits: pd.DataFrame, curves: pd.DataFrame
) -> dict[str, pd.DataFrame]:
    """Every table of the study, by its name.

    Args:
        runs: experiment and case -> arrays of `experiments.run`.
        fits, curves: of `fit_case`, of all cases.
    """

    def cases(experiment: str) -> dict[str, Arrays]:
        return {case: arrays for (name, case), arrays in runs.items() if name == experiment}

    context = [context_rows(case, arrays) for case, arrays in cases(CONTEXT).items()]
    structure = [structure_rows(case, arrays) for case, arrays in cases(STRUCTURE).items()]
    two_point = {name: probed(arrays, fits, name) for name, arrays in cases(TWO_POINT).items()}
    bridge = bridge_rows(TWO_POINT, {name: arrays for name, arrays in two_point.items() if arrays is not None})
    on_images = {name: that_learned(arrays) for name, arrays in cases(TRAJECTORIES).items()}
    bridge += bridge_rows(TRAJECTORIES, {name: arrays for name, arrays in on_images.items() if len(arrays["progress"])})
    rows: dict[str, list[dict]] = {
        "rises": rise_rows(cases(TWO_POINT), fits),
        "distances": [row for name, one in cases(DISTANCES).items() for row in distance_rows(name, one, fits)],
        "xor": [row for name, one in cases(XOR).items() for row in xor_rows(name, one, fits)],
        "context": [row for statistics, _ in context for row in statistics],
        "context_axes": [row for _, axes in context for row in axes],
        "structure": [row for statistics, _ in structure for row in statistics],
        "image_structure": [row for _, matrices in structure for row in matrices],
        "bridge": bridge,
    }
    tables = {"fits": fits, "curves": curves} | {name: pd.DataFrame(found) for name, found in rows.items()}
    return {name: tables[name] for name in TABLES}
