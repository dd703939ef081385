"""Report of the stereo benchmark: JSON, tables in Markdown, and an HTML page."""

import html
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import cv2
import numpy as np

from depth_ros.evaluation.embedded_images import color_levels, embedded_image
from depth_ros.evaluation.report import without_nan
from depth_ros.evaluation.stereo_benchmark import MatchedPair, MatcherFigures, StereoBenchmark
from depth_ros.types import Float32Array, UInt8Array

_MAX_ERROR_PX = 4.0
"""Error at which the colours of the error image saturate."""
_SPARSE = 0.5
"""Truth that covers a smaller share of the image is drawn with larger points."""
_NO_TRUTH = np.float32(-1e6)
_COLUMNS = {
    'valid_share': ('valid %', 100.0, '.1f'),
    'bad1': ('bad-1 %', 100.0, '.1f'),
    'bad2': ('bad-2 %', 100.0, '.1f'),
    'bad4': ('bad-4 %', 100.0, '.1f'),
    'd1': ('D1 %', 100.0, '.1f'),
    'd1_filled': ('D1 filled %', 100.0, '.1f'),
    'epe_px': ('EPE px', 1.0, '.2f'),
    'ms': ('ms', 1.0, '.1f'),
    'time_ratio': ('time ratio', 1.0, '.2f'),
}
"""Figure → heading, factor and format."""
_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:1340px;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse;margin:1em 0}td,th{padding:.2em .8em;text-align:right;border-bottom:1px solid #ddd}
td:first-child,th:first-child,td:nth-child(2),th:nth-child(2){text-align:left}.about{color:#555}
figure{display:inline-block;width:24%;margin:0 .5% 1em 0}figure img{width:100%;display:block}figcaption{color:#555}"""
LEGEND = (
    'valid: share of the pixels with truth that have a disparity; bad-1, bad-2, bad-4: share of these with an error '
    'above 1, 2, 4 px; D1: share of these with an error above 3 px and 5 %; D1 filled: the same share of all pixels '
    'with truth, after filling the holes as the KITTI benchmark does; EPE: mean error of the valid pixels; time ratio: '
    'run time divided by that of SGBM 3-way. Truth includes occluded pixels.'
)

Rows = list[list[str]]


def json_report(benchmark: StereoBenchmark, missing: Mapping[str, str], about: Mapping[str, Any]) -> dict[str, Any]:
    """Return the results as plain data; a figure that is unknown is None.

    Args:
        benchmark: The results.
        missing: How to install the matchers that are not installed, by name.
        about: How the benchmark was run; copied to the report.
    """
    report: dict[str, Any] = without_nan({
        **about,
        'pairs': [{**asdict(pair), 'size': list(pair.size)} for pair in benchmark.pairs],
        'means': {name: asdict(figures) for name, figures in benchmark.means().items()},
        'reliability': {
            name: [{**asdict(each), 'reliable': each.reliable} for each in reliability.bins()]
            for name, reliability in benchmark.reliability.items()
        },
        'failed': benchmark.failed,
        'not_installed': dict(missing),
    })  # fmt: skip
    return report


def figure_rows(benchmark: StereoBenchmark, missing: Mapping[str, str]) -> Rows:
    """Return the table of all figures: a heading, the matchers of every pair, and the means over the pairs."""
    rows = [['pair', 'matcher', *(heading for heading, _, _ in _COLUMNS.values())]]
    for pair in benchmark.pairs:
        rows += [_figure_row(pair.name, name, figures) for name, figures in pair.figures.items()]
        rows += [[pair.name, name, 'failed', *['-'] * (len(_COLUMNS) - 1)] for name in pair.failed]
    mean = f'mean of {len(benchmark.pairs)}'
    rows += [_figure_row(mean, name, figures) for name, figures in benchmark.means().items()]
    return rows + [[mean, name, 'not installed', *['-'] * (len(_COLUMNS) - 1)] for name in missing]


def _figure_row(pair: str, matcher: str, figures: MatcherFigures) -> list[str]:
    values = asdict(figures)
    texts = [
        format(factor * values[name], form) if np.isfinite(values[name]) else '-'
        for name, (_, factor, form) in _COLUMNS.items()
    ]
    return [pair, matcher, *texts]


def reliability_rows(benchmark: StereoBenchmark) -> Rows:
    """Return the table of the confidence: a heading and the bins of every matcher that hold a pixel."""
    rows = [['matcher', 'confidence', 'pixels %', 'mean confidence', 'within 2 px', '']]
    for name, reliability in benchmark.reliability.items():
        rows += [
            [name, f'{each.low:.1f} to {each.low + 0.1:.1f}', f'{100 * each.share:.1f}', f'{each.confidence:.3f}',
             f'{each.correct:.3f}', '' if each.reliable else 'off by more than 0.05']
            for each in reliability.bins() if each.pixels
        ]  # fmt: skip
    return rows


def markdown_table(rows: Rows) -> str:
    """Return rows, the first of which is the heading, as a table in Markdown with aligned columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]

    def line(row: list[str]) -> str:
        pairs = enumerate(zip(row, widths, strict=True))
        cells = (text.ljust(width) if i < 2 else text.rjust(width) for i, (text, width) in pairs)
        return f'| {" | ".join(cells)} |'

    rule = [':' + '-' * max(width - 1, 2) if i < 2 else '-' * max(width - 1, 2) + ':' for i, width in enumerate(widths)]
    return '\n'.join([line(rows[0]), line(rule), *map(line, rows[1:])])


class BenchmarkPictures:
    """Collects the images of the page; only their encoded form is kept."""

    def __init__(self) -> None:
        self.content: list[str] = []

    def add(self, pair: MatchedPair) -> None:
        """Add the images of a pair: left image, truth, disparity of every matcher, and their errors."""
        largest_px = float(np.nanmax(pair.truth_px))
        truth = _visible_points(pair.truth_px)
        shown = [('left image', pair.left), ('truth', _disparity_image(truth, largest_px))]
        for name, disparity_px in pair.disparities_px.items():
            shown.append((name, _disparity_image(disparity_px, largest_px)))
        for name, disparity_px in pair.disparities_px.items():
            error_px = color_levels(np.abs(disparity_px - truth), 0.0, _MAX_ERROR_PX, cv2.COLORMAP_TURBO)
            bad2 = pair.result.figures[name].bad2
            shown.append((f'error of {name}: bad-2 {100 * bad2:.1f} %', error_px))
        figures = ''.join(
            f'<figure>{embedded_image(image)}<figcaption>{html.escape(text)}</figcaption></figure>'
            for text, image in shown
        )
        width, height = pair.result.size
        self.content.append(
            f'<h2>{html.escape(pair.result.name)}</h2><p class="about">{width}x{height}, {pair.result.disparities} '
            f'disparities; disparity from 0 (blue) to {largest_px:.0f} px (red), error from 0 (blue) to '
            f'{_MAX_ERROR_PX:g} px (red), unknown black</p>{figures}'
        )


def _disparity_image(disparity_px: Float32Array, largest_px: float) -> UInt8Array:
    return color_levels(disparity_px, 0.0, largest_px, cv2.COLORMAP_TURBO)


def _visible_points(truth_px: Float32Array) -> Float32Array:
    """Return the truth; sparse points, such as those of a laser scanner, are enlarged to survive downscaling."""
    known = np.isfinite(truth_px)
    if known.mean() > _SPARSE:
        return truth_px
    enlarged = cv2.dilate(np.where(known, truth_px, _NO_TRUTH), np.ones((5, 5), np.uint8))
    return np.where(enlarged > _NO_TRUTH, enlarged, np.float32(np.nan)).astype(np.float32)


def html_report_page(
    benchmark: StereoBenchmark, missing: Mapping[str, str], about: Mapping[str, Any], pictures: BenchmarkPictures
) -> str:
    """Return the page: tables, then the images of every pair."""
    described = html.escape(', '.join(f'{key}: {value}' for key, value in about.items()))
    failed = ''.join(f'<li>{html.escape(f"{name}: {why}")}</li>' for name, why in benchmark.failed.items())
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Stereo benchmark</title><style>{_STYLE}'
        f'</style></head><body><h1>Stereo benchmark</h1><p class="about">{described}</p>'
        f'{_html_table(figure_rows(benchmark, missing))}<p class="about">{html.escape(LEGEND)}</p>'
        f'<h2>Confidence</h2>{_html_table(reliability_rows(benchmark))}'
        + (f'<h2>Failed</h2><ul>{failed}</ul>' if failed else '')
        + ''.join(pictures.content)
        + '</body></html>\n'
    )


def _html_table(rows: Rows) -> str:
    heading, *body = [[html.escape(text) for text in row] for row in rows]
    lines = [''.join(f'<td>{text}</td>' for text in row) for row in body]
    return (
        f'<table><tr>{"".join(f"<th>{text}</th>" for text in heading)}</tr>'
        + ''.join(f'<tr>{line}</tr>' for line in lines)
        + '</table>'
    )
