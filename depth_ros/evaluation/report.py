"""Reports of evaluations: writing and reading JSON and CSV, and comparing two reports."""

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from depth_ros.errors import BadFile
from depth_ros.evaluation.depth_metrics import DepthAccuracy, mean_known
from depth_ros.evaluation.evaluate import Evaluation
from depth_ros.evaluation.metrics_by_distance import ERROR_EDGES
from depth_ros.evaluation.stereo_metrics import DisparityAccuracy

_SCHEMA = 1
HIGHER_IS_BETTER = {'valid_share', 'delta1', 'delta2', 'delta3'}
FIGURES = (*(f.name for f in fields(DepthAccuracy)), *(f.name for f in fields(DisparityAccuracy)), 'ms')


def build_report(evaluation: Evaluation, about: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of report.json: means over frames (median for ``ms``), figures by frame and by distance.

    Args:
        evaluation: The results.
        about: What was evaluated and how; copied to the report.
    """
    figures = [frame.figures() for frame in evaluation.frames]
    names = [name for name in FIGURES if figures and name in figures[0]]
    means = {name: mean_known([each[name] for each in figures]) for name in names}
    if figures:
        means['ms'] = float(np.median([each['ms'] for each in figures]))
    frames = [{'name': frame.name, **each} for frame, each in zip(evaluation.frames, figures, strict=True)]
    report: dict[str, Any] = without_nan({
        'schema': _SCHEMA,
        **about,
        'estimator': evaluation.estimator,
        'figures': means,
        'by_distance': [asdict(each) for each in evaluation.by_distance.bins()],
        'histogram': {'edges': ERROR_EDGES.tolist(), 'pixels': evaluation.by_distance.histogram.tolist()},
        'frames': frames,
        'failed': evaluation.failed,
    })  # fmt: skip
    return report


def without_nan(value: Any) -> Any:
    """Return a value with NaN and Inf replaced by None, as JSON has no such numbers."""
    if isinstance(value, dict):
        return {key: without_nan(each) for key, each in value.items()}
    if isinstance(value, list):
        return [without_nan(each) for each in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def write_report(folder: Path, report: dict[str, Any], page: str) -> None:
    """Write report.json, frames.csv and report.html.

    Raises:
        BadFile: the folder cannot be written.
    """
    table = io.StringIO()
    names = list(report['frames'][0]) if report['frames'] else ['name']
    writer = csv.DictWriter(table, names)
    writer.writeheader()
    writer.writerows(report['frames'])
    contents = {'report.json': json.dumps(report, indent=1), 'frames.csv': table.getvalue(), 'report.html': page}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            (folder / name).write_text(content, encoding='utf-8')
    except OSError as error:
        raise BadFile(f'{folder} cannot be written: {error.strerror}') from error


def read_report(path: Path) -> dict[str, Any]:
    """Read a report.json, or the report.json in a folder.

    Raises:
        BadFile: the file does not exist or is not a report.
    """
    if path.is_dir():
        path = path / 'report.json'
    try:
        report = json.loads(path.read_text(encoding='utf-8'))
        if report['schema'] != _SCHEMA:
            raise BadFile(f'{path} has the schema {report["schema"]}; expected {_SCHEMA}. Run the evaluation again')
        report['figures'], report['frames']
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadFile(f'{path} cannot be read as a report of depth-ros eval: {error}') from error
    return dict(report)


@dataclass(frozen=True)
class FigureComparison:
    """One figure of two reports, over their common frames."""

    figure: str
    a: float
    b: float
    better_in_b: int
    """Number of frames with a better value in B."""
    worse_in_b: int
    """Number of frames with a worse value in B."""


def compare(a: dict[str, Any], b: dict[str, Any]) -> tuple[list[FigureComparison], int]:
    """Return the comparison of all common figures, and the number of common frames.

    Raises:
        BadFile: the reports have no frame in common.
    """
    frames_a, frames_b = ({frame['name']: frame for frame in report['frames']} for report in (a, b))
    common = sorted(frames_a.keys() & frames_b.keys())
    if not common:
        raise BadFile('the reports have no frame names in common; expected evaluations of the same dataset')
    comparisons = []
    for name in FIGURES:
        pairs = [(frames_a[frame].get(name), frames_b[frame].get(name)) for frame in common]
        known = [(x, y) for x, y in pairs if x is not None and y is not None]
        if not known:
            continue
        values_a, values_b = np.array(known, np.float64).T
        average = np.median if name == 'ms' else np.mean
        gain = (values_b - values_a) * (1 if name in HIGHER_IS_BETTER else -1)
        averages = float(average(values_a)), float(average(values_b))
        comparisons.append(FigureComparison(name, *averages, int((gain > 0).sum()), int((gain < 0).sum())))
    return comparisons, len(common)
