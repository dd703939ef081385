"""One report from the reports of several recordings.

All sums are exact (rational numbers), so that the result does not depend on the order or grouping of the recordings.
"""

import math
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from depth_ros.evaluation.report import FIGURES, without_nan

_OF_KNOWN = ('abs_rel', 'sq_rel', 'log10', 'delta1', 'delta2', 'delta3', 'epe_px')
"""Means over the pixels that are known in the estimate and in the truth."""
_ROOTS_OF_KNOWN = ('rmse_m', 'rmse_log')
"""Roots of means of squares over the same pixels."""
_OF_TRUTH = ('valid_share', 'bad1', 'bad2', 'bad4', 'd1_all')
"""Means over the pixels with truth."""
_ABOUT = ('schema', 'layout', 'node', 'protocol', 'settings', 'estimator')


class _Mean:
    """Exact weighted mean, or root of the mean of squares; values that are None or have no weight are ignored."""

    def __init__(self, of_squares: bool = False) -> None:
        self._of_squares = of_squares
        self._sum, self._weight = Fraction(0), 0

    def add(self, value: float | None, weight: int = 1) -> None:
        if value is not None and weight:
            exact = Fraction(value)
            self._sum += (exact * exact if self._of_squares else exact) * weight
            self._weight += weight

    @property
    def value(self) -> float:
        if not self._weight:
            return float('nan')
        mean = float(self._sum / self._weight)
        return math.sqrt(mean) if self._of_squares else mean


def merged_report(reports: Iterable[tuple[str, Mapping[str, Any]]], failed: Mapping[str, str]) -> dict[str, Any]:
    """Return the report of several recordings; its rows (``frames``) are the recordings.

    ``figures`` are means over the frames of all recordings (median for ``ms``), ``by_recording`` means over the
    recordings of their own figures, and ``by_pixel`` means over the pixels of all frames; ``silog`` is not additive and
    has none.

    Args:
        reports: Name and report (``build_report``) of each recording; read once, one at a time.
        failed: Reason by recording, for those without a report.
    """
    by_frame, by_recording = ({name: _Mean() for name in FIGURES} for _ in range(2))
    by_pixel = {name: _Mean(of_squares=name in _ROOTS_OF_KNOWN) for name in FIGURES}
    rows: list[dict[str, Any]] = []
    about: dict[str, Any] = {}
    milliseconds: list[float] = []
    bins: dict[float, dict[str, Any]] = {}
    histogram: Any = 0
    edges: list[float] = []
    failures = dict(failed)
    for name, report in reports:
        about = about or {key: report[key] for key in _ABOUT if key in report}
        failures |= {f'{name}/{frame}': why for frame, why in report['failed'].items()}
        rows.append({'name': name, **report['figures'], 'frames': len(report['frames'])})
        for figure, value in report['figures'].items():
            by_recording[figure].add(value)
        for frame in report['frames']:
            milliseconds.append(frame['ms'])
            for figure in by_frame.keys() & frame.keys():
                by_frame[figure].add(frame[figure])
            _add_pixels(by_pixel, frame)
        for each in report['by_distance']:
            _add_bin(bins.setdefault(each['from_m'], {'to_m': each['to_m']}), each)
        edges = report['histogram']['edges']
        histogram = histogram + np.array(report['histogram']['pixels'], np.int64)
    rows.sort(key=lambda row: str(row['name']))
    figures = _values(by_frame) | ({'ms': float(np.median(milliseconds))} if milliseconds else {})
    merged: dict[str, Any] = without_nan({
        **about,
        'dataset': f'{len(rows)} recordings',
        'rows': 'recordings',
        'figures': figures,
        'by_recording': _values(by_recording),
        'by_pixel': _values(by_pixel),
        'by_distance': [_bin(from_m, bins[from_m]) for from_m in sorted(bins)],
        'histogram': {'edges': edges, 'pixels': histogram.tolist() if rows else []},
        'frames': rows,
        'failed': dict(sorted(failures.items())),
    })  # fmt: skip
    return merged


def _add_pixels(means: Mapping[str, _Mean], frame: Mapping[str, Any]) -> None:
    truth = int(frame['truth_pixels'])
    known = round((frame['valid_share'] or 0.0) * truth)  # exact, because valid_share is known / truth
    for figure in (*_OF_KNOWN, *_ROOTS_OF_KNOWN):
        means[figure].add(frame.get(figure), known)
    for figure in _OF_TRUTH:
        means[figure].add(frame.get(figure), truth)


def _values(means: Mapping[str, _Mean]) -> dict[str, float]:
    """Return the means of the figures that have any value."""
    return {name: value for name, mean in means.items() if not math.isnan(value := mean.value)}


def _add_bin(sums: dict[str, Any], each: Mapping[str, Any]) -> None:
    pixels = int(each['pixels'])
    known = round(each['valid_share'] * pixels)
    sums['pixels'] = sums.get('pixels', 0) + pixels
    sums['known'] = sums.get('known', 0) + known
    sums.setdefault('abs_rel', _Mean()).add(each['abs_rel'], known)
    sums.setdefault('rmse_m', _Mean(of_squares=True)).add(each['rmse_m'], known)


def _bin(from_m: float, sums: Mapping[str, Any]) -> dict[str, Any]:
    return {
        'from_m': from_m,
        'to_m': sums['to_m'],
        'pixels': sums['pixels'],
        'valid_share': sums['known'] / sums['pixels'],
        'abs_rel': sums['abs_rel'].value,
        'rmse_m': sums['rmse_m'].value,
    }
