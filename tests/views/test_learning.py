"""A detail of a validation photo while a network learns."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sr_utils import images
from sr_utils.checkpoints import save_weights
from sr_utils.data.sources import Pair
from sr_utils.enlarging.infer import super_resolve
from sr_utils.metrics import psnr
from sr_utils.networks import MSRResNet
from sr_utils.views import learning
from sr_utils.views.charts import draw_runs
from sr_utils.views.figures import draw_images
from sr_utils.views.learning import Detail, Live, follow


@pytest.fixture
def detail(tmp_path: Path, make_photo) -> Detail:
    hr = make_photo(400, 440)
    hr[200:240, 300:340] = np.random.default_rng(0).integers(0, 256, (40, 40, 3))  # bicubic fails here
    images.write_image(tmp_path / "a.png", hr)
    return Detail(Pair("a", tmp_path / "a.png", None), tmp_path / "learning")


@pytest.mark.parametrize("blocks", [1, 20])
def test_the_detail_is_that_of_the_whole_photo(detail: Detail, blocks: int) -> None:
    torch.manual_seed(0)
    model = MSRResNet(blocks, features=4)
    whole = super_resolve(model, detail.lr, precision="float32")
    found = detail.enlarge(model, precision="float32")
    assert detail.place[0].start <= 200 and detail.place[1].stop >= 340
    assert np.abs(found.astype(int) - whole[detail.place]).max() <= 1 and found.shape == (96, 96, 3)


def test_the_patches_stay_and_those_of_an_earlier_run_go(detail: Detail, make_photo) -> None:
    model = MSRResNet(1, features=4)
    assert detail.patches() == {} and "now, step 0" in detail.draw().axes[1].get_title()
    for step in (50, 100, 150):
        detail.add(model, step)
    detail.add(model, 90, forget=False)  # as shown where another process trains
    assert list(detail.patches()) == [50, 90, 100, 150]
    images.write_image(detail.folder / "mine.png", detail.hr)
    detail.add(model, 100)
    assert list(detail.patches()) == [50, 90, 100]
    bicubic, now, hr = detail.draw().axes
    assert now.get_title() == f"now, step 100\n{psnr(detail.patches()[100], detail.hr, border=0):.2f} dB"
    np.testing.assert_array_equal(bicubic.images[0].get_array(), detail.bicubic)
    np.testing.assert_array_equal(hr.images[0].get_array(), detail.hr)
    for step in range(150, 1000, 50):
        detail.add(model, step)
    titles = [axes.get_title() for axes in detail.draw_strip().axes]
    assert len(titles) == 8 and "step 50\n" in titles[1] and "step 950\n" in titles[-2]


def test_a_live_figure_takes_a_hundredth_of_the_time(monkeypatch) -> None:
    clock, drawn = [0.0], []

    class Handle:
        def update(self, figure: object) -> None:
            drawn.append(clock[0])

    def draw() -> object:
        clock[0] += 1.0
        return draw_images({"a": np.zeros((4, 4, 3), np.uint8)})

    monkeypatch.setattr(learning, "display", lambda *_, **more: Handle())
    monkeypatch.setattr(learning.time, "perf_counter", lambda: clock[0])
    live = Live(draw)
    for _ in range(2000):
        clock[0] += 0.5
        live.update()
    assert 0.9 * clock[0] / 101 <= len(drawn) <= clock[0] / 101 + 1
    live.update(last=True)
    assert drawn[-1] == clock[0]


def test_a_run_of_elsewhere_is_followed_until_it_ends(tmp_path: Path, monkeypatch) -> None:
    records, shown, trains = [], [], iter([True, True, False])
    log = tmp_path / "log.jsonl"
    log.write_text('{"step": 1, "loss": 1, "seconds": 1}\n', encoding="utf-8")

    def go_on(_seconds: float) -> None:
        with log.open("a", encoding="utf-8") as file:
            file.write('{"step": 2, "loss": 1, "seconds": 1}\n')
        save_weights(tmp_path / "best.safetensors", MSRResNet(1, features=2), {"step": 2})

    monkeypatch.setattr(learning, "is_training", lambda folder: next(trains))
    monkeypatch.setattr(learning.time, "sleep", go_on)
    follow(tmp_path, records.append, lambda model, record: shown.append((model.name, record["step"])))
    assert [record["step"] for record in records] == [2, 2] and set(shown) == {("msrresnet", 2)}


def test_runs_are_drawn_against_steps_and_minutes() -> None:
    record = {"loss": 1, "step": 50, "seconds": 60.0}
    runs = {"a": [record, record | {"val_psnr_trained": 26.0, "val_psnr_ema": 27.0}], "b": [], "c": [record]}
    steps, minutes = draw_runs(runs).axes
    assert [line.get_xydata().tolist() for line in steps.lines] == [[[50, 27]], [], []]
    assert minutes.lines[0].get_xydata().tolist() == [[1, 27]]
    assert draw_runs({}).axes
