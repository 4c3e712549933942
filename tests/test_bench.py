"""The benchmarks' own parts that can break without a long run."""

import csv
import json
import runpy
import sys
from pathlib import Path

import pytest
import torch

from sr_utils.networks import NETWORKS, count_parameters, make_network

BENCH = Path(__file__).parents[1] / "bench"


@pytest.fixture
def bench_networks(monkeypatch) -> dict:
    """bench/bench_networks.py as a module's names, with TRIED among the networks for the test alone."""
    monkeypatch.setattr(sys, "path", [str(BENCH), *sys.path])
    for name in list(NETWORKS):
        monkeypatch.setitem(NETWORKS, name, NETWORKS[name])
    module = runpy.run_path(str(BENCH / "bench_networks.py"))
    for name in module["TRIED"]:
        monkeypatch.setitem(NETWORKS, name, None)  # taken out again after the test
    module["register"]()
    return module


def test_every_row_is_of_a_network_and_a_recipe_that_are_there(bench_networks) -> None:
    with (BENCH / "networks.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    for row in rows:
        changes, _, _ = row["changes"].partition(" (")  # what a row tells in brackets needs other code
        config = bench_networks["recipe"](row["network"], dict(text.split("=") for text in changes.split()))
        assert config.network == row["network"] and config.warmup_steps >= 30
        network = make_network(config.network, **config.network_arguments)
        assert count_parameters(network) == int(row["parameters"])


def test_tried_networks_enlarge_four_times(bench_networks) -> None:
    for name in bench_networks["TRIED"]:
        with torch.no_grad():
            assert make_network(name)(torch.rand(1, 3, 8, 12)).shape == (1, 3, 32, 48)


def test_the_tails_of_tried_networks_can_be_made_in_strips(bench_networks) -> None:
    """As `Network.reconstruct` promises: a row of HR needs features at most two LR rows away."""
    for name in bench_networks["TRIED"]:
        network, lr = make_network(name), torch.rand(1, 3, 8, 12)
        with torch.no_grad():
            features = network.extract(lr)
            far = features.clone()
            far[:, :, 7] += 1e3
            near, changed = (network.reconstruct(values, lr) for values in (features, far))
        changes = (near - changed).abs().amax(dim=(0, 1, 3))
        assert changes[:20].max() < 1e-4 and changes[28:].max() > 1, name


def test_a_step_is_timed(bench_networks, monkeypatch) -> None:
    """Forward, backward and update, not the making of the network and the batch."""
    clock = iter([0.0, 5.0, 10.0, 12.0, 20.0, 21.0, 30.0, 33.0, 40.0, 47.0, 50.0, 58.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    config = bench_networks["recipe"]("two_scale", {})
    assert (
        bench_networks["step_seconds"](config, 16, batch_size=1, runs=6) == 7
    )  # of 3, 7, 8: three to warm up


def test_times_to_a_psnr_are_steps_times_their_seconds(monkeypatch) -> None:
    """results.json says what curves.json says."""
    monkeypatch.setattr(sys, "path", [str(BENCH), *sys.path])
    module = runpy.run_path(str(BENCH / "bench_time_to_psnr.py"))
    curves = json.loads((BENCH / "curves.json").read_text(encoding="utf-8"))
    rows = json.loads((BENCH / "results.json").read_text(encoding="utf-8"))
    told = {row["claim"]: row["value"] for row in rows}
    assert list(curves) == module["TIMED"]
    for what, wanted, goal in module["GOALS"]:
        best = told[f"time to {goal}: {module['OUR_BEST']}"]
        for name in module["TIMED"]:
            time = module["steps_to"](curves[name], what, wanted) * told[f"a training step: {name}"]
            ratio = 1 if name == module["OUR_BEST"] else told[f"time to {goal}: {name}, times TwoScale's"]
            assert ratio == pytest.approx(time / best, rel=1e-3)


def test_networks_are_compared_with_the_whole_one_of_their_budget_by_seed() -> None:
    module = runpy.run_path(str(BENCH / "compare_networks.py"))
    table = module["compare"](module["read_rows"]()).set_index(["recipe", "network"])
    recipe = "learning_rate=0.002 patch_draws=2 weight_decay=1"
    found = table.loc[(recipe, "two_scale total_steps=2487")]
    assert found[["seeds", "pairs", "dB", "without 0086"]].tolist() == [3, "3", 29.999, 29.369]
    assert found["gain"] == "+0.082 (+0.028 to +0.137)"
    assert table.loc[(recipe, "msrresnet total_steps=983"), "gain"] == ""  # over itself
    assert table.loc[("learning_rate=0.002", "two-5-3-5 total_steps=2487"), "gain"] == ""  # no rival


def test_a_switch_of_a_row_is_on_or_off(bench_networks) -> None:
    assert bench_networks["recipe"]("msrresnet", {"light_tail": "True"}).light_tail
    with pytest.raises(ValueError, match="light_tail: expected True or False, got true"):
        bench_networks["recipe"]("msrresnet", {"light_tail": "true"})
