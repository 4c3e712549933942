from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sr_utils.experiments import study
from sr_utils.experiments.study import (
    ARMS,
    BASE,
    CHECK,
    CLAIMS,
    arm_config,
    compare_arms,
    judge_claims,
    read_table,
    run_arm,
)
from sr_utils.paths import Paths


def _table(gains: dict[str, np.ndarray]) -> pd.DataFrame:
    """Rows of arms that gain these dB (seeds, photos) over photos of very different PSNR."""
    base = np.linspace(20, 35, 8)
    return pd.DataFrame(
        [
            {
                "arm": arm,
                "seed": seed,
                "steps": 600,
                "photo": f"p{photo}",
                "psnr": base[photo] + gain[seed, photo],
            }
            for arm, gain in gains.items()
            for seed in range(3)
            for photo in range(8)
        ]
    )


def test_a_study_of_photos_named_by_numbers_pairs_its_seeds(tmp_path: Path, monkeypatch) -> None:
    def run_arm(arm: str, seed: int, paths: Paths) -> pd.DataFrame:
        row = {
            "psnr": 30.0 + seed,
            "arm": arm,
            "seed": seed,
            "steps": 600,
            "run": arm,
            "data": "x",
            "seconds": 1,
        }
        return pd.DataFrame([row | {"photo": photo, "seconds": 1.0} for photo in ("0015", "0035")])

    monkeypatch.setattr(study, "run_arm", run_arm)
    study.run_study(Paths(tmp_path), ["flips and rotations", "MSE"])
    table = read_table(Paths(tmp_path))
    assert set(table["photo"]) == {"0015", "0035"} and compare_arms(table).loc["MSE", "seeds"] == 3


def test_gains_and_their_intervals() -> None:
    noise = np.random.default_rng(1).normal(0, 0.02, (4, 3, 8))
    result = compare_arms(
        _table(
            {
                "flips and rotations": noise[0] * 0,
                "RGB permutation": noise[0] * 0 + 0.03,
                "Blend": noise[1] - 0.1,
                "MSE": noise[2],
                "16 blocks": noise[3] - 0.2,
                "CutBlur": noise[3] - 0.15,
                "19 blocks behind the stem": noise[3] - 0.2,
            }
        )
    )
    row = result.loc["RGB permutation"]
    assert row[["gain in dB", "from", "to"]].to_list() == pytest.approx([0.03] * 3)
    assert (row["at this budget"], row["seeds"]) == ("helps", 3)
    assert result.loc["Blend", "at this budget"] == "hurts"
    medians = np.median((noise[1] - 0.1).mean(axis=0))
    assert result.loc["Blend", "median photo"] == pytest.approx(medians)
    assert result.loc["MSE", "at this budget"] == "not decidable"
    assert result.loc["MSE", "from"] < result.loc["MSE", "gain in dB"] < result.loc["MSE", "to"]
    assert result.loc["CutBlur", "against"] == "19 blocks behind the stem"
    assert result.loc["CutBlur", "gain in dB"] == pytest.approx(0.05)
    assert "CARN, equal time" not in result.index  # not run


def test_claims_are_judged_by_the_interval_and_only_where_the_arm_was_run() -> None:
    noise = np.random.default_rng(2).normal(0, 0.02, (4, 3, 8))
    claims = judge_claims(
        compare_arms(
            _table(
                {
                    "flips and rotations": noise[0] * 0,
                    "RGB permutation": noise[0] - 0.1,  # the challenge: helps
                    "MSE": noise[1] - 0.1,  # hurts
                    "brightness and contrast": noise[2] * 0.1,  # no gain
                    "EDSR, equal steps": noise[2] + 0.1,  # no gain
                    "CARN, equal steps": noise[3] * 20,  # no gain
                }
            )
        )
    )
    assert claims["at this budget"].to_dict() == {
        "RGB permutation helps": "contradicted",
        "MSE is worse than L1": "confirmed",
        "brightness and contrast do not help": "confirmed",
        "EDSR is not better at equal steps": "contradicted",
        "CARN is not better at equal steps": "not decidable",
    }
    assert claims["dB here"].str.match(r"[+−]0\.\d{3} \([+−]0\.\d{3} to [+−]0\.\d{3}\)$").all()
    assert CLAIMS.keys() <= ARMS.keys()


def test_one_seed_decides_nothing() -> None:
    table = _table({"flips and rotations": np.zeros((3, 8)), "MSE": np.full((3, 8), -0.5)})
    assert compare_arms(table).loc["MSE", "at this budget"] == "hurts"
    alone = compare_arms(table[table["seed"] == 0])
    assert alone.loc["MSE", ["seeds", "at this budget"]].to_list() == [1, "not decidable"]
    assert judge_claims(alone)["at this budget"].to_list() == ["not decidable"]


def test_without_rows_there_is_an_empty_table(tmp_path: Path) -> None:
    table = read_table(Paths(tmp_path))
    assert table.empty and compare_arms(table).empty and judge_claims(compare_arms(table)).empty
    assert table.groupby("run")["seconds"].first().sum() == 0


def test_photos_and_seeds_are_paired() -> None:
    """A constant gain on photos that differ by 15 dB and on seeds that differ by 0.5 dB is certain."""
    seeds = np.array([[0.0], [0.5], [-0.3]]) + np.zeros(8)
    result = compare_arms(_table({"flips and rotations": seeds, "MSE": seeds - 0.01}))
    assert result.loc["MSE", ["from", "to"]].to_list() == pytest.approx([-0.01, -0.01])


def test_every_arm_is_a_valid_run_of_its_own() -> None:
    names = {arm_config(arm, seed).run_name for arm in ARMS for seed in study.SEEDS}
    assert len(names) == len(ARMS) * len(study.SEEDS)
    assert arm_config("flips and rotations", 0) == BASE
    assert all(other is None or other in ARMS for _, other in ARMS.values())
    with pytest.raises(ValueError, match="arm: expected one of"):
        arm_config("CutMix", 0)


def test_an_arm_is_trained_and_told_and_comes_out_the_same_again(
    photo_folder, tmp_path: Path, monkeypatch
) -> None:
    """Two arms and two seeds of a tiny run, by the same functions as the study; a rerun gives equal rows."""
    photo_folder("train/photos", {f"{n:02}.png": (132, 140) for n in range(10)})
    monkeypatch.setenv("SR_DATA", str(tmp_path))
    tiny = {
        "num_blocks": 1,
        "total_steps": 20,
        "hr_patch_size": 16,
        "batch_size": 2,
        "sub_image": 64,
        "sub_image_step": 32,
        "precision": "float32",
        "validate_every": 20,
        "save_every": 20,
    }
    arms = ("flips and rotations", "MSE")
    first, again = (
        pd.concat([run_arm(arm, seed, Paths(root), **tiny) for arm in arms for seed in (0, 1)])
        for root in (tmp_path / "one", tmp_path / "other")
    )
    same = [name for name in first.columns if name != "seconds"]
    pd.testing.assert_frame_equal(first[same], again[same])
    assert len(first) == 2 * 2 * 2 and first["psnr"].between(5, 60).all() and first["run"].nunique() == 4
    result = compare_arms(first)
    assert result.loc["MSE", "seeds"] == 2 and result.loc["MSE", "from"] <= result.loc["MSE", "to"]


def test_the_readme_tells_what_the_committed_rows_say() -> None:
    root = Path(__file__).parents[2]
    gains = compare_arms(study.read_table(Paths(root)))
    assert gains["seeds"].tolist() == [len(study.SEEDS)] * (len(ARMS) - 2)  # all arms, all seeds
    readme = (root / "README.md").read_text(encoding="utf-8")
    for claim, found in judge_claims(gains).iterrows():
        assert f"| {claim} | {found['dB here']} | {found['at this budget']} |" in readme


def test_a_committed_row_comes_out_again(tmp_path: Path) -> None:
    """Weights, batches, augmentation, optimiser and measure are those of the study, within 0.002 dB.

    Another processor, or another number of threads, sums in another order.
    """
    committed = study.read_table(Paths(Path(__file__).parents[2]))
    committed = committed[(committed["arm"] == CHECK) & (committed["seed"] == 0)]
    again = run_arm(CHECK, 0, Paths(tmp_path))
    assert committed["run"].tolist() == again["run"].tolist() and len(again) == 2
    assert committed["data"].tolist() == again["data"].tolist()
    np.testing.assert_allclose(committed["psnr"], again["psnr"], atol=2e-3)
