"""Charts of training and comparison: every function returns a matplotlib figure; only notebooks show them."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sr_utils.config import BORDER, PARAMETER_LIMIT, Config
from sr_utils.metrics import column, signed
from sr_utils.networks import Network, count_parameters
from sr_utils.training.recipe import learning_rate_at
from sr_utils.views.figures import COLORS, INK, PAGE_WIDTH, color, new_figure

LINEAR_DB = 0.1  # of the axis of ablations
RUN_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", INK)
VALIDATIONS = ("val_psnr_trained", "val_psnr_ema")


def draw_learning_curves(
    records: Sequence[Mapping[str, Any]], *, bicubic: float | None = None, total_steps: int | None = None
) -> Figure:
    """Training loss and validation PSNR over steps, from the records of `train.read_log`."""
    figure, ((loss, quality),) = new_figure(PAGE_WIDTH, 2.4, 1, 2)
    steps = [record["step"] for record in records]
    loss.plot(steps, [record["loss"] for record in records], color=INK, linewidth=1)
    loss.set(xlabel="step", ylabel="training loss (RGB in [0, 1])")
    validated = [record for record in records if "val_psnr_trained" in record]
    for kind, label, style in (("trained", "trained", "--"), ("ema", "averaged (EMA)", "-")):
        points = [(r["step"], r[f"val_psnr_{kind}"]) for r in validated if f"val_psnr_{kind}" in r]
        if points:
            quality.plot(
                *zip(*points, strict=True), style, color=COLORS["MSRResNet-20"], marker=".", label=label
            )
    if bicubic is not None:
        quality.axhline(bicubic, color=COLORS["bicubic"], label=f"bicubic {bicubic:.2f} dB")
    quality.set(xlabel="step", ylabel=f"validation PSNR in dB\n(RGB, border {BORDER})")
    if total_steps:
        for axes in (loss, quality):
            axes.set_xlim(0, total_steps)
    _add_legend(quality)
    return figure


def draw_runs(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    """Validation PSNR of some runs against steps and against minutes, from their logs by label."""
    figure, ((steps, minutes),) = new_figure(PAGE_WIDTH, 2.6, 1, 2)
    for (label, records), ink, marker in zip(runs.items(), cycle(RUN_COLORS), cycle("osD^vP"), strict=False):
        points = [(record, max(record.get(kind, 0) for kind in VALIDATIONS)) for record in records]
        points = [(record, best) for record, best in points if best]
        style = {"color": ink, "marker": marker, "markersize": 3, "linewidth": 1}
        decibels = [best for _, best in points]
        steps.plot([record["step"] for record, _ in points], decibels, label=label, **style)
        minutes.plot([record["seconds"] / 60 for record, _ in points], decibels, **style)
    steps.set(xlabel="steps", ylabel=f"validation PSNR in dB\n(RGB, border {BORDER})")
    minutes.set(xlabel="minutes of training")
    if runs:
        figure.legend(loc="outside upper center", ncols=2, fontsize=7, frameon=False)
    return figure


def draw_schedule(config: Config) -> Figure:
    """Learning rate over the steps of a run."""
    figure, ((axes,),) = new_figure(PAGE_WIDTH / 2, 1.8, 1, 1)
    steps = np.unique(np.linspace(0, config.total_steps - 1, 2000).astype(int))
    axes.plot(steps, [learning_rate_at(config, int(step)) for step in steps], color=COLORS["MSRResNet-20"])
    axes.set(xlabel="step", ylabel="learning rate", ylim=(0, None))
    return figure


def draw_psnr_per_image(table: pd.DataFrame) -> Figure:
    """PSNR (RGB) of every image and method of a table of `metrics.evaluate`, sorted by the first method."""
    values = table[column("PSNR", "rgb")].unstack("method")[list(table.index.unique("method"))]
    values = values.sort_values(values.columns[0])
    figure, ((axes,),) = new_figure(PAGE_WIDTH, 0.9 + 0.24 * min(len(values), 40), 1, 1)
    rows = np.arange(len(values))
    axes.hlines(rows, values.min(axis=1), values.max(axis=1), color="#CCCCCC", linewidth=2)
    for method in values.columns:
        axes.plot(values[method], rows, "o", color=color(method), label=method, markersize=5)
    axes.set_yticks(rows, values.index)
    axes.set(xlabel=column("PSNR", "rgb"), ylim=(-0.7, len(values) - 0.3))
    _add_legend(axes)
    return figure


def draw_tradeoff(
    decibels: Mapping[str, float], networks: Mapping[str, Network], *, convention: str
) -> Figure:
    """PSNR over trainable parameters, with the challenge's limit as a line, and over minutes of training.

    Args:
        decibels: PSNR by method; one that is no network (bicubic) is told in the legend alone.
        networks: by method; their files tell the minutes, on the machines that trained them.
        convention: of the PSNR, for example "Set5, Y, border 4".
    """
    figure, ((size, time),) = new_figure(PAGE_WIDTH, 2.2, 1, 2, sharey=True)
    for marker, (method, value) in zip(cycle("osD^vP"), decibels.items(), strict=False):
        style, told = {"color": color(method), "linestyle": "", "markersize": 6}, f"{method}: {value:.2f} dB"
        if method not in networks:  # far below the networks, whose differences are what is to be seen
            size.plot([], [], **style, label=f"{told}, off the chart")
            continue
        network = networks[method]
        size.plot([count_parameters(network) / 1e6], [value], marker, **style, label=told)
        if network.training_minutes:
            time.plot([network.training_minutes], [value], marker, **style)
    limit = f"limit: below {PARAMETER_LIMIT:,}"
    size.axvline(PARAMETER_LIMIT / 1e6, color=INK, linestyle="--", linewidth=1, zorder=1, label=limit)
    size.set(xlabel="parameters in millions", ylabel=f"PSNR in dB\n({convention})")
    time.set(xlabel="minutes of training", xscale="log")
    time.xaxis.set_major_formatter("{x:g}")
    for axes in (size, time):
        axes.margins(x=0.15, y=0.15)
    figure.legend(loc="outside right upper", fontsize=7, frameon=False)
    return figure


def draw_time_to_psnr(curves: Mapping[str, Sequence[Mapping[str, float]]]) -> Figure:
    """Gain over bicubic against training time and against steps, from `bench/curves.json`."""
    figure, ((time, steps),) = new_figure(PAGE_WIDTH, 2.6, 1, 2)
    inks = ("#5D3A9B", "#882255", "#0072B2", "#E69F00", "#D55E00")
    for ink, (name, curve) in zip(inks, curves.items(), strict=True):
        gains = np.maximum.accumulate([point["gain"] for point in curve])
        time.plot([point["seconds"] / 60 for point in curve], gains, color=ink, label=name)
        steps.plot([point["step"] for point in curve], gains, color=ink)
    time.set(xlabel="minutes of training", ylabel="best gain over bicubic in dB\n(RGB, border 4)")
    steps.set(xlabel="steps")
    for axes, ticks in ((time, (0.1, 0.3, 1, 3, 10, 30, 100)), (steps, (50, 100, 200, 400, 1000, 4000))):
        axes.set(ylim=(0, None), xscale="log")
        axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axes.minorticks_off()
    figure.legend(loc="outside upper center", ncols=2, fontsize=7, frameon=False)
    return figure


def draw_ablations(gains: pd.DataFrame) -> Figure:
    """Gain and confidence interval of every arm of `study.compare_arms`, one row each."""
    figure, ((axes,),) = new_figure(PAGE_WIDTH, 0.8 + 0.16 * len(gains), 1, 1)
    gains = gains.sort_values("gain in dB")
    marks = {"helps": ("#0072B2", "^"), "hurts": ("#D55E00", "v"), "not decidable": ("#999999", "o")}
    axes.axvspan(-LINEAR_DB, LINEAR_DB, color="#F2F2F2", zorder=0)
    for row, (_, found) in enumerate(gains.to_dict("index").items()):
        ink, marker = marks[found["at this budget"]]
        axes.plot([found["from"], found["to"]], [row, row], color=ink, linewidth=2)
        axes.plot(found["gain in dB"], row, marker, color=ink)
        told = signed(found["gain in dB"])
        place = {"xy": (1.01, row), "xycoords": ("axes fraction", "data"), "va": "center"}
        axes.annotate(told, **place, fontsize=7, color=INK)
    for verdict, (ink, marker) in marks.items():
        if verdict in set(gains["at this budget"]):
            axes.plot([], [], marker, color=ink, label=verdict)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_yticks(range(len(gains)), gains.index, fontsize=8)
    axes.set_xscale("symlog", linthresh=LINEAR_DB, linscale=1)  # large losses stay on it
    ticks = (-1, -0.3, -0.1, -0.05, 0, 0.05, 0.1)
    axes.set_xticks(ticks, [f"{tick:g}".replace("-", "−") for tick in ticks])
    low, high = min([-LINEAR_DB, *gains["from"]]), max([LINEAR_DB, *gains["to"]])
    axes.set_xlim(1.3 * low, 1.3 * high)
    axes.set(xlabel="gain in dB (RGB, border 4), 95 % confidence interval; logarithmic beyond the grey")
    _add_legend(axes)
    return figure


def draw_budget(parameters: Mapping[str, int]) -> Figure:
    """Trainable parameters of networks as bars, with the challenge's limit as a line."""
    figure, ((axes,),) = new_figure(PAGE_WIDTH, 0.6 + 0.36 * len(parameters), 1, 1)
    millions = [count / 1e6 for count in parameters.values()]
    told = [f"{name}\n{count:,}" for name, count in parameters.items()]
    axes.barh(told, millions, color=[color(name) for name in parameters])
    limit = f"limit: below {PARAMETER_LIMIT:,}"
    axes.axvline(PARAMETER_LIMIT / 1e6, color=INK, linestyle="--", label=limit)
    axes.set(xlabel="trainable parameters in millions", xlim=(0, PARAMETER_LIMIT * 1.1e-6))
    axes.invert_yaxis()
    _add_legend(axes)
    return figure


def _add_legend(axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if handles:  # above the axes, where it covers no data
        style = {"ncols": 4, "fontsize": 7, "frameon": False, "handlelength": 3}
        axes.figure.legend(handles, labels, loc="outside upper right", **style)
