"""An evaluation → JSON, CSV, and the comparison of two."""

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


def report_of(found: Evaluation, about: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything as JSON has it: the means over frames (of ``ms`` the median), the frames, the distances.

    Args:
        found: The evaluation.
        about: What was evaluated and how, kept as it is.
    """
    figures = [frame.figures() for frame in found.frames]
    names = [name for name in FIGURES if figures and name in figures[0]]
    means = {name: mean_known([each[name] for each in figures]) for name in names}
    if figures:
        means['ms'] = float(np.median([each['ms'] for each in figures]))
    frames = [{'name': frame.name, **each} for frame, each in zip(found.frames, figures, strict=True)]
    report: dict[str, Any] = _plain({
        'schema': _SCHEMA,
        **about,
        'estimator': found.estimator,
        'figures': means,
        'by_distance': [asdict(each) for each in found.distances.bins()],
        'histogram': {'edges': ERROR_EDGES.tolist(), 'pixels': found.distances.histogram.tolist()},
        'frames': frames,
        'failed': found.failed,
    })  # fmt: skip
    return report


def _plain(value: Any) -> Any:
    """Return a value with None for what JSON has no number for."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
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
    """Read a report.json, or that of a folder.

    Raises:
        BadFile: it is not there, or no report.
    """
    if path.is_dir():
        path = path / 'report.json'
    try:
        report = json.loads(path.read_text(encoding='utf-8'))
        if report['schema'] != _SCHEMA:
            raise BadFile(f'{path} has the schema {report["schema"]}; expected {_SCHEMA}. Evaluate again')
        report['figures'], report['frames']
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadFile(f'{path} cannot be read as a report of depth-ros eval: {error}') from error
    return dict(report)


@dataclass(frozen=True)
class Compared:
    """One figure of two reports, over the frames that both have."""

    figure: str
    a: float
    b: float
    better_in_b: int
    """Frames."""
    worse_in_b: int


def compare(a: dict[str, Any], b: dict[str, Any]) -> tuple[list[Compared], int]:
    """Return the figures that both reports have, and how many frames both have.

    Raises:
        BadFile: they have no frame in common.
    """
    frames_a, frames_b = ({frame['name']: frame for frame in report['frames']} for report in (a, b))
    common = sorted(frames_a.keys() & frames_b.keys())
    if not common:
        raise BadFile('the two reports have no frame of one name; expected evaluations of one dataset')
    compared = []
    for name in FIGURES:
        pairs = [(frames_a[frame].get(name), frames_b[frame].get(name)) for frame in common]
        known = [(x, y) for x, y in pairs if x is not None and y is not None]
        if not known:
            continue
        of_a, of_b = np.array(known, np.float64).T
        middle = np.median if name == 'ms' else np.mean
        gain = (of_b - of_a) * (1 if name in HIGHER_IS_BETTER else -1)
        compared.append(
            Compared(name, float(middle(of_a)), float(middle(of_b)), int((gain > 0).sum()), int((gain < 0).sum()))
        )
    return compared, len(common)
