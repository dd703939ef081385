"""HTML report of an evaluation: one self-contained page. Importing this module raises BadFile without matplotlib."""

import html
import io
from typing import Any

import cv2
import numpy as np

from depth_ros.errors import BadFile
from depth_ros.evaluation.comparable_settings import format_parameters
from depth_ros.evaluation.embedded_images import color_levels, embedded_image
from depth_ros.evaluation.evaluate import EvaluatedFrame
from depth_ros.files.install_command import install_command
from depth_ros.stages.colorize import colorize

try:  # imported here so that a missing library is reported before the evaluation
    from matplotlib.figure import Figure
except ImportError as error:
    raise BadFile(f'the report requires matplotlib ({error}): {install_command("eval")}') from error

_FRAMES = 4
"""Number of best frames, and number of worst frames."""
_MAX_ERROR = 0.25
"""Relative error at which the colours of the error image saturate."""
_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:1340px;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse;margin:1em 0}td,th{padding:.2em .8em;text-align:right;border-bottom:1px solid #ddd}
td:first-child,th:first-child,td.text{text-align:left}figure{margin:1em 0}figure img{width:24%;margin-right:.5%}
figcaption{color:#555}.plots svg{width:49%;height:auto}.about{color:#555}"""
_DESCRIPTIONS = {
    'valid_share': 'share of the pixels with truth that have a depth',
    'abs_rel': 'mean |z - z*| / z*',
    'sq_rel': 'mean (z - z*)² / z*, m',
    'rmse_m': 'root mean square error, m',
    'rmse_log': 'root mean square error of ln z',
    'silog': '100 times the standard deviation of ln z - ln z*',
    'log10': 'mean |log10 z - log10 z*|',
    'delta1': 'share of pixels within a factor of 1.25',
    'delta2': 'share of pixels within a factor of 1.25²',
    'delta3': 'share of pixels within a factor of 1.25³',
    'epe_px': 'mean disparity error, px',
    'bad1': 'share with an error above 1 px',
    'bad2': 'share with an error above 2 px',
    'bad4': 'share with an error above 4 px',
    'd1_all': 'share with an error above 3 px and 5 %, or unknown',
    'ms': 'milliseconds per frame, median',
}


class BestAndWorstFrames:
    """Collects the images of the frames with the lowest and highest AbsRel; memory use is limited."""

    def __init__(self) -> None:
        self.best: list[tuple[float, str, str]] = []
        """AbsRel, name and HTML of the images; the best frame first."""
        self.worst: list[tuple[float, str, str]] = []
        """AbsRel, name and HTML of the images; the worst frame first."""

    def add(self, frame: EvaluatedFrame) -> None:
        """Add a frame; it is ignored if it is neither among the best nor among the worst."""
        error = frame.result.depth.abs_rel
        if not np.isfinite(error):
            return
        is_best = len(self.best) < _FRAMES or error < self.best[-1][0]
        is_worst = len(self.worst) < _FRAMES or error > self.worst[-1][0]
        if not is_best and not is_worst:
            return
        row = (error, frame.result.name, _images(frame))
        if is_best:
            self.best = sorted([*self.best, row])[:_FRAMES]
        if is_worst:
            self.worst = sorted([*self.worst, row], reverse=True)[:_FRAMES]


def html_page(report: dict[str, Any], extreme_frames: BestAndWorstFrames) -> str:
    """Return the page of a report.

    Args:
        report: The report as returned by ``build_report``.
        extreme_frames: Frames whose images are included.
    """
    about = ', '.join(
        f'{key}: {value}' for key in ('dataset', 'layout', 'node', 'protocol') if (value := report.get(key))
    )
    title = html.escape(f'{report["estimator"]} on {report["dataset"]}')
    figures = ''.join(
        f'<tr><td>{name}</td><td>{_number(value)}</td><td class="text">{html.escape(_DESCRIPTIONS[name])}</td></tr>'
        for name, value in report['figures'].items()
    )
    bins = ''.join(
        f'<tr><td>{_span(each)}</td><td>{each["pixels"]}</td>'
        + ''.join(f'<td>{_number(each[key])}</td>' for key in ('valid_share', 'abs_rel', 'rmse_m'))
        + '</tr>'
        for each in report['by_distance']
    )
    failed = ''.join(f'<li>{html.escape(name)}: {html.escape(why)}</li>' for name, why in report['failed'].items())
    rows = {
        heading: ''.join(
            f'<figure>{images}<figcaption>{html.escape(name)}: AbsRel {error:.4f}</figcaption></figure>'
            for error, name, images in frames
        )
        for heading, frames in (('Worst frames', extreme_frames.worst), ('Best frames', extreme_frames.best))
    }
    images = ''.join(
        f'<h2>{heading}</h2><p class="about">image | estimate | truth | relative error, white at '
        f'{_MAX_ERROR:.0%}</p>{content}' for heading, content in rows.items()
    )  # fmt: skip
    rows_evaluated = f'{len(report["frames"])} {report.get("rows", "frames")} evaluated'
    counts = f'{rows_evaluated}, {len(report["failed"])} failed. Means over frames.'
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        f'</head><body><h1>{title}</h1><p class="about">{html.escape(about)}. {counts}</p>'
        f'<p class="about">settings: {html.escape(format_parameters(report.get("settings", {})))}</p>'
        f'<table><tr><th>figure</th><th>value</th><th></th></tr>{figures}</table>'
        f'<div class="plots">{_plots(report)}</div><h2>By distance</h2><table><tr><th>metres</th><th>pixels</th>'
        f'<th>valid share</th><th>AbsRel</th><th>RMSE, m</th></tr>{bins}</table>'
        + (f'<h2>Failed</h2><ul>{failed}</ul>' if failed else '')
        + f'{images}</body></html>\n'
    )


def _number(value: float | None) -> str:
    return '-' if value is None else f'{value:.4g}'


def _span(each: dict[str, Any]) -> str:
    to_m = each['to_m']
    return f'{each["from_m"]:g} to {to_m:g}' if to_m is not None else f'from {each["from_m"]:g}'


def _plots(report: dict[str, Any]) -> str:
    """Return the histogram of errors and the error by distance as inline SVG."""
    histogram = Figure((6, 3.5), layout='constrained')
    axes = histogram.subplots()
    edges, pixels = np.array(report['histogram']['edges']), np.array(report['histogram']['pixels'], np.float64)
    axes.stairs(100 * pixels / max(pixels.sum(), 1), 100 * edges, fill=True, color='#3b76af')
    axes.set(xlabel='(z - z*) / z*, %', ylabel='% of pixels', title='Errors')
    distance = Figure((6, 3.5), layout='constrained')
    axes = distance.subplots()
    bins = [each for each in report['by_distance'] if each['abs_rel'] is not None]
    last_m = bins[-1]['to_m'] or 1.25 * bins[-1]['from_m'] if bins else 1.0
    if bins:
        steps = [each['from_m'] for each in bins]
        values = [100 * each['abs_rel'] for each in bins]
        axes.step([*steps, last_m], [*values, values[-1]], where='post', color='#3b76af')
    axes.set(xlabel='distance, m', ylabel='AbsRel, %', title='Error by distance', xlim=(0, last_m))
    axes.set_ylim(bottom=0)
    return _svg(histogram) + _svg(distance)


def _svg(figure: Any) -> str:
    text = io.StringIO()
    figure.savefig(text, format='svg', metadata={'Date': None})
    return text.getvalue()[text.getvalue().index('<svg') :]


def _images(frame: EvaluatedFrame) -> str:
    """Return image, estimate, truth and error as HTML; estimate and truth have the same colour scale."""
    height = frame.truth_m.shape[0]
    both = colorize(np.vstack([frame.depth_m, frame.truth_m]))
    error = np.abs(frame.depth_m - frame.truth_m) / frame.truth_m
    heat = color_levels(error, 0.0, _MAX_ERROR, cv2.COLORMAP_INFERNO)
    return ''.join(embedded_image(shown) for shown in (frame.image, both[:height], both[height:], heat))
