"""Groundings of measures: tables worked by hand, planted truths, and SciPy's rank correlation."""

import itertools
import time

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from convergent.groundings import (
    agreement,
    both_directions,
    groundings,
    layer_identification,
    noise_order,
    trained_from_untrained,
)

COLUMNS = ("population", "layer_a", "layer_b", "measure", "network_a", "network_b", "value")
NETWORKS = ("net1", "net2", "net3", "net4")
LAYERS = ("conv1", "conv2", "fc1")


def matrix_rows(matrix, a="net1", b="net2", measure="m", population="trained", first=LAYERS, second=LAYERS):
    """Rows of the similarities of each layer of a with each of b."""
    return [
        (population, la, lb, measure, a, b, matrix[row][column])
        for row, la in enumerate(first)
        for column, lb in enumerate(second)
    ]


def same_layer_rows(values, a="net1", b="net2", measure="m", population="against_untrained"):
    return [
        (population, layer, layer, measure, a, b, value)
        for layer, value in zip(LAYERS[: len(values)], values, strict=True)
    ]


def as_table(rows):
    return pd.DataFrame(rows, columns=COLUMNS)


def full_table(similarity, measures=("m",), networks=NETWORKS, layers=LAYERS, ordered=()):
    """Trained rows of every pair from `similarity(measure, a, b, la, lb)`; the measures in `ordered` both ways."""
    return as_table(
        [
            ("trained", la, lb, measure, a, b, similarity(measure, a, b, la, lb))
            for measure in measures
            for a, b in (itertools.permutations if measure in ordered else itertools.combinations)(networks, 2)
            for la, lb in itertools.product(layers, repeat=2)
        ]
    )


def test_identification_of_a_symmetric_measure_by_hand():
    # Rows: conv1 right, conv2 wrong, fc1 right. Columns: conv1 right, conv2 wrong, fc1 right.
    table = as_table(matrix_rows([[0.9, 0.2, 0.1], [0.3, 0.4, 0.5], [0.1, 0.6, 0.8]]))
    found = layer_identification(table)["m"]
    assert found == (pytest.approx(4 / 6), pytest.approx(1 / 3), 6, 0)


def test_ties_count_in_parts():
    table = as_table(matrix_rows([[0.5, 0.5], [0.1, 0.5]], first=LAYERS[:2], second=LAYERS[:2]))
    # Row 1: one of two; row 2: right; column 1: right; column 2: one of two.
    assert layer_identification(table)["m"].share == pytest.approx(3 / 4)
    constant = full_table(lambda *_: 1.0)
    found = layer_identification(constant)["m"]
    assert found.share == pytest.approx(found.chance)


def test_both_orders_of_an_asymmetric_measure_count_as_they_stand():
    right, wrong = [[0.9, 0.1], [0.1, 0.9]], [[0.1, 0.9], [0.8, 0.2]]
    two = {"first": LAYERS[:2], "second": LAYERS[:2]}
    table = as_table(matrix_rows(right, **two) + matrix_rows(wrong, "net2", "net1", **two))
    assert layer_identification(table)["m"][:3] == (0.5, 0.5, 4)
    assert len(both_directions(table)) == len(table)
    # Taken for symmetric, with only one of the orders, all is right.
    assert layer_identification(as_table(matrix_rows(right, **two)))["m"][:3] == (1.0, 0.5, 4)


def test_turned_rows_keep_networks_and_layers_together():
    table = as_table(matrix_rows([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], first=("a", "b"), second=("x", "y", "z")))
    rows = both_directions(table).set_index(["network_a", "network_b", "layer_a", "layer_b"])["value"]
    assert len(rows) == 12
    assert rows["net1", "net2", "b", "x"] == rows["net2", "net1", "x", "b"] == 4.0


def test_a_layer_is_looked_for_among_all_layers_of_a_deeper_network():
    # net1 has conv1 and fc1, net2 also conv2, which is the most similar to net1's fc1.
    table = as_table(matrix_rows([[0.9, 0.1, 0.1], [0.2, 0.7, 0.6]], first=("conv1", "fc1")))
    found = layer_identification(table)["m"]
    # From net1: conv1 right, fc1 wrong, of 3 each. From net2, whose conv2 net1 has not: both right, of 2 each.
    assert found == (pytest.approx(3 / 4), pytest.approx((1 / 3 + 1 / 3 + 1 / 2 + 1 / 2) / 4), 4, 0)
    nothing_in_common = as_table(matrix_rows([[0.9]], first=("a",), second=("b",)))
    assert layer_identification(nothing_in_common) == {}


def test_a_case_with_an_undefined_similarity_is_left_out():
    table = as_table(matrix_rows([[0.9, 0.2, np.nan], [0.3, 0.4, 0.1], [0.1, 0.3, 0.8]]))
    # Row conv1 and column fc1 are left out; rows conv2 and fc1 and columns conv1 and conv2 are right.
    assert layer_identification(table)["m"] == (1.0, pytest.approx(1 / 3), 4, 2)
    nowhere = layer_identification(full_table(lambda *_: np.nan))["m"]
    assert np.isnan(nowhere.share) and np.isnan(nowhere.chance) and nowhere[2:] == (0, 36)


def test_perfect_and_random_measures(generator):
    layers = [f"layer{number}" for number in range(7)]
    networks = [f"net{number}" for number in range(12)]

    def similarity(measure, a, b, la, lb):
        return float(la == lb) if measure == "perfect" else generator.random()

    table = full_table(similarity, ("perfect", "random"), networks, layers)
    found = layer_identification(table)
    assert found["perfect"] == (1.0, pytest.approx(1 / 7), 12 * 11 * 7, 0)
    share, chance, cases, _ = found["random"]
    # Four standard errors of as many independent cases.
    assert abs(share - chance) < 4 * np.sqrt(chance * (1 - chance) / cases)


def test_trained_from_untrained_by_hand():
    rows = matrix_rows([[0.9, 0.1, 0.1], [0.1, 0.5, 0.1], [0.1, 0.1, 0.3]])
    # net1 against untrained net2: larger, equal, smaller; the other order: larger, undefined, larger.
    rows += same_layer_rows([0.2, 0.5, 0.4]) + same_layer_rows([0.2, np.nan, 0.2], "net2", "net1")
    assert trained_from_untrained(as_table(rows)) == {"m": (pytest.approx(3.5 / 5), 5)}


def test_trained_from_untrained_compares_the_same_direction():
    two = {"first": LAYERS[:1], "second": LAYERS[:1]}
    rows = matrix_rows([[0.9]], **two) + matrix_rows([[0.1]], "net2", "net1", **two)
    rows += same_layer_rows([0.5]) + same_layer_rows([0.5], "net2", "net1")
    assert trained_from_untrained(as_table(rows))["m"] == (0.5, 2)
    # An order that was not compared is no case.
    assert trained_from_untrained(as_table(rows[:-1]))["m"] == (1.0, 1)
    assert trained_from_untrained(as_table(rows[:2])) == {}


def test_noise_order_by_hand_and_by_the_size_of_the_level():
    rows = []
    # 10 sorts before 3 as a text.
    for level, values in {"0.3": [0.9, 0.8], "10": [0.1, np.nan], "3": [0.5, 0.8]}.items():
        rows += same_layer_rows(values, "net1", "net1", population=f"noisy_{level}")
    rows += same_layer_rows([0.0], "net1", "net1", population="permuted")
    # conv1: all three pairs of levels in order; conv2: one pair, equal.
    assert noise_order(as_table(rows)) == {"m": (pytest.approx(3.5 / 4), 4)}
    assert noise_order(as_table(rows[:2])) == {}
    assert noise_order(as_table(rows[-1:])) == {}


def test_rows_of_groundings_hold_the_single_tests(generator):
    def similarity(measure, a, b, la, lb):
        return generator.random() + (measure == "good") * 0.5 * (la == lb)

    table = full_table(similarity, ("good", "random"), ordered=("random",))
    controls = [
        (population, layer, layer, measure, a, b, generator.random())
        for measure in ("good", "random")
        for population in ("against_untrained", "noisy_0.1", "noisy_1")
        for layer in LAYERS
        for a, b in itertools.product(NETWORKS, repeat=2)
        if (a == b) == population.startswith("noisy")
    ]
    table = pd.concat([table, as_table(controls)])
    table.loc[(table["measure"] == "random") & (table["population"] == "trained"), "value"] = [
        np.nan if place < 27 else generator.random() for place in range(108)
    ]
    facts = {"random": {"symmetric": False}, "good": None, "absent": {"symmetric": True}}
    rows = groundings(table, facts)
    assert [row["measure"] for row in rows] == ["random", "good", "absent"]
    assert [row.get("symmetric") for row in rows] == [False, None, True]
    for row in rows[:2]:
        measure = row["measure"]
        identified, separated = layer_identification(table)[measure], trained_from_untrained(table)[measure]
        assert (row["layer_identification"], row["layer_identification_chance"]) == identified[:2]
        assert row["trained_from_untrained"] == separated.share
        assert row["noise_order"] == noise_order(table)[measure].share
        for name in ("layer_identification", "trained_from_untrained"):
            assert 0 <= row[f"{name}_low"] <= row[name] <= row[f"{name}_high"] <= 1
    assert rows[0]["undefined"] == 0.25 and rows[1]["undefined"] == 0
    assert all(np.isnan(value) for value in rows[2].values() if isinstance(value, float))
    assert [row["measure"] for row in groundings(table)] == ["good", "random"]


def test_the_interval_is_that_of_the_jackknife_over_networks(generator):
    layers = [f"layer{number}" for number in range(5)]
    table = full_table(lambda *names: generator.random() + 0.4 * (names[-2] == names[-1]), layers=layers)
    # Pairs that differ in their number of cases.
    gone = (table["network_a"] == "net1") & (table["layer_a"] == "layer0")
    table.loc[gone, "value"] = np.nan
    share = layer_identification(table)["m"].share
    left_out = np.array(
        [
            layer_identification(table[(table["network_a"] != name) & (table["network_b"] != name)])["m"].share
            for name in NETWORKS
        ]
    )
    reach = stats.t.ppf(0.975, 3) * np.sqrt(3 / 4 * ((left_out - left_out.mean()) ** 2).sum())
    (row,) = groundings(table)
    assert row["layer_identification_low"] == pytest.approx(max(share - reach, 0))
    assert row["layer_identification_high"] == pytest.approx(min(share + reach, 1))
    assert 0 < row["layer_identification_low"] < row["layer_identification_high"] < 1
    (row,) = groundings(table[(table["network_a"] == "net1") & (table["network_b"] == "net2")])
    assert np.isnan([row["layer_identification_low"], row["layer_identification_high"]]).all()


def test_the_interval_holds_the_chance_of_random_measures():
    generator = np.random.default_rng(7)
    measures = [f"random{number}" for number in range(60)]
    rows = groundings(full_table(lambda *_: generator.random(), measures))
    held = np.mean([row["layer_identification_low"] <= 1 / 3 <= row["layer_identification_high"] for row in rows])
    assert held > 0.85


def test_agreement_is_that_of_scipy(generator):
    table = full_table(lambda *_: generator.normal(), ("a", "b", "c", "constant"))
    table["value"] = table["value"].round(1)  # with ties
    table.loc[table["measure"] == "constant", "value"] = 0.1
    table.loc[(table["measure"] == "b") & (generator.random(len(table)) < 0.3), "value"] = np.nan
    measures, matrix = agreement(table.sample(frac=1, random_state=1).sort_values("measure", kind="stable"))
    assert measures == ["a", "b", "c", "constant"]
    values = {measure: rows["value"].to_numpy() for measure, rows in table.groupby("measure")}
    for first, second in itertools.product("abc", repeat=2):
        expected = stats.spearmanr(values[first], values[second], nan_policy="omit").statistic
        assert matrix[measures.index(first), measures.index(second)] == pytest.approx(expected)
    assert np.isnan(matrix[3]).all() and np.isnan(matrix[:, 3]).all()


def test_agreement_averages_the_directions_of_an_asymmetric_measure(generator):
    shape = (len(NETWORKS), len(NETWORKS), len(LAYERS), len(LAYERS))
    values, other = generator.normal(size=shape), generator.normal(size=shape)

    def similarity(measure, *names):
        a, b = (NETWORKS.index(name) for name in names[:2])
        la, lb = (LAYERS.index(name) for name in names[2:])
        return (values if measure == "ordered" else other)[a, b, la, lb]

    table = full_table(similarity, ("ordered", "symmetric"), ordered=("ordered",))
    # A symmetric pair may stand in either order.
    turned = (table["measure"] == "symmetric") & (table["network_b"] == "net3")
    sides = ["network_a", "network_b", "layer_a", "layer_b"]
    swapped = ["network_b", "network_a", "layer_b", "layer_a"]
    table.loc[turned, sides] = table.loc[turned, swapped].to_numpy()
    mean = (values + values.transpose(1, 0, 3, 2)) / 2
    cases = [
        (mean[a, b, la, lb], other[a, b, la, lb])
        for a, b in itertools.combinations(range(4), 2)
        for la, lb in itertools.product(range(3), repeat=2)
    ]
    expected = stats.spearmanr(cases).statistic
    assert agreement(table)[1] == pytest.approx(np.array([[1, expected], [expected, 1]]))
    # What is undefined in one direction is undefined.
    table.loc[table.index[0], "value"] = np.nan
    assert agreement(table)[1][0, 1] == pytest.approx(stats.spearmanr(cases[1:]).statistic)


def test_agreement_of_too_few_cases_and_of_other_populations():
    two = {"first": LAYERS[:2], "second": LAYERS[:1]}
    rows = [*matrix_rows([[1], [2]], measure="m", **two), *matrix_rows([[2], [3]], measure="n", **two)]
    assert np.isnan(agreement(as_table(rows))[1]).all()
    rows += matrix_rows([[1], [2], [3]], measure="n", population="untrained", second=LAYERS[:1])
    measures, matrix = agreement(as_table(rows), "untrained")
    assert measures == ["n"] and matrix.tolist() == [[1.0]]
    measures, matrix = agreement(as_table([]))
    assert measures == [] and matrix.shape == (0, 0)
    assert groundings(as_table([])) == []


def test_a_large_registry_takes_less_than_a_second(generator):
    measures = [f"measure{number}" for number in range(37)]
    layers = [f"layer{number}" for number in range(7)]
    table = full_table(lambda *_: generator.random(), measures, layers=layers, ordered=measures[:9])
    start = time.perf_counter()
    groundings(table)
    agreement(table)
    assert time.perf_counter() - start < 1
