"""Alignment, crops, metrics by distance, and reports."""

import csv
import json

import numpy as np
import pytest

from depth_ros.cli.main import main
from depth_ros.errors import BadFile
from depth_ros.evaluation.alignment import aligned
from depth_ros.evaluation.evaluation_protocol import clamp_depth, mask_truth
from depth_ros.evaluation.metrics_by_distance import MetricsByDistance
from depth_ros.evaluation.report import compare, read_report

N, INF = np.nan, np.inf


def test_alignment_restores_scale_and_shift():
    truth = np.float32([[1.0, 2.0, 4.0, 8.0, N]])
    np.testing.assert_allclose(aligned(truth / 3, 'metric_depth', truth, 'median')[0, :4], truth[0, :4], rtol=1e-6)
    shifted = (truth - 0.5) / 3
    np.testing.assert_allclose(aligned(shifted, 'relative_depth', truth, 'affine')[0, :4], truth[0, :4], rtol=1e-5)
    inverse = (1 / truth - 0.05) / 7
    metres = aligned(inverse, 'relative_inverse_depth', truth, 'affine')
    np.testing.assert_allclose(metres[0, :4], truth[0, :4], rtol=1e-4)
    assert np.isnan(metres[0, 4])
    np.testing.assert_allclose(
        aligned(5 / truth, 'relative_inverse_depth', truth, 'median')[0, :4], truth[0, :4], rtol=1e-6
    )


def test_values_that_cannot_be_aligned_are_unknown_and_negative_inverse_depth_is_infinite():
    truth = np.float32([[1.0, 2.0, 4.0]])
    assert np.isnan(aligned(np.full_like(truth, N), 'metric_depth', truth, 'median')).all()
    assert np.isfinite(aligned(np.ones_like(truth), 'relative_depth', truth, 'affine')).all()
    inverse = np.float32([[1.0, 0.5, 0.25, -0.3]])
    assert aligned(inverse, 'relative_inverse_depth', np.float32([[1.0, 2.0, 4.0, N]]), 'affine')[0, 3] == INF


def test_crops_and_caps_are_those_of_the_benchmarks():
    kitti = np.ones((375, 1242), np.float32)
    garg = np.argwhere(np.isfinite(mask_truth(kitti, 'garg', 0.0)))
    assert garg.min(axis=0).tolist() == [153, 44] and garg.max(axis=0).tolist() == [370, 1196]
    garg = np.argwhere(np.isfinite(mask_truth(np.ones((370, 1226), np.float32), 'garg', 0.0)))  # 0.99189189 * 370 < 367
    assert garg.min(axis=0).tolist() == [151, 44] and garg.max(axis=0).tolist() == [365, 1180]
    nyu = np.argwhere(np.isfinite(mask_truth(np.ones((480, 640), np.float32), 'nyu', 0.0)))
    assert nyu.min(axis=0).tolist() == [45, 41] and nyu.max(axis=0).tolist() == [470, 600]
    assert np.isfinite(mask_truth(np.float32([[79.0, 81.0]]), '', 80.0)).tolist() == [[True, False]]
    np.testing.assert_array_equal(clamp_depth(np.float32([[79.0, 90.0, INF, N]]), 80.0), [[79.0, 80.0, 80.0, N]])


def test_metrics_by_distance():
    by_distance = MetricsByDistance()
    by_distance.add(np.float32([[1.65, 1.0, N, 5.5]]), np.float32([[1.5, 1.25, 1.9, 5.0]]))
    by_distance.add(np.float32([[4.5]]), np.float32([[5.0]]))
    near, far = by_distance.bins()
    assert (near.from_m, near.to_m, near.pixels, near.valid_share) == (1.0, 2.0, 3, pytest.approx(2 / 3))
    assert near.abs_rel == pytest.approx(0.15) and far.rmse_m == pytest.approx(0.5)
    assert by_distance.histogram.sum() == 4


@pytest.fixture(scope='module')
def reports(tmp_path_factory):
    root = tmp_path_factory.mktemp('reports')
    for quality in ('balanced', 'strict'):
        assert main(['eval', 'sim:1:6', '-p', f'quality:={quality}', '--out', str(root / quality)]) == 0
    return root


@pytest.mark.slow
def test_the_page_is_self_contained(reports):
    page = (reports / 'strict/report.html').read_text()
    assert page.count('<svg') == 2 and page.count('<img') == 4 * 8 and 'By distance' in page
    assert 'src="data:image/jpeg;base64,' in page and 'src="http' not in page and '<script' not in page
    with (reports / 'strict/frames.csv').open() as file:
        rows = list(csv.DictReader(file))
    frames = json.loads((reports / 'strict/report.json').read_text())['frames']
    assert [row['name'] for row in rows] == [frame['name'] for frame in frames] and len(rows) == 6
    assert float(rows[0]['abs_rel']) == frames[0]['abs_rel']


@pytest.mark.slow
def test_two_reports_are_compared_frame_by_frame(reports, capsys):
    assert main(['eval', 'compare', str(reports / 'balanced'), str(reports / 'strict')]) == 0
    output = capsys.readouterr().out
    assert '6 frames in both' in output and 'better' in output and 'worse' in output
    comparisons, frames = compare(*(read_report(reports / name) for name in ('balanced', 'strict')))
    valid = next(each for each in comparisons if each.figure == 'valid_share')
    assert frames == 6 and valid.b < valid.a and valid.worse_in_b == 6
    same, _ = compare(*[read_report(reports / 'strict')] * 2)
    assert all(each.a == each.b and each.better_in_b == each.worse_in_b == 0 for each in same)


@pytest.mark.slow
def test_invalid_reports_and_reports_of_other_datasets_are_errors(reports, tmp_path):
    (tmp_path / 'report.json').write_text('{"schema": 1}')
    for path in (tmp_path, tmp_path / 'nowhere'):
        with pytest.raises(BadFile, match='cannot be read as a report'):
            read_report(path)
    other = read_report(reports / 'strict')
    other['frames'] = [{**frame, 'name': f'x{frame["name"]}'} for frame in other['frames']]
    with pytest.raises(BadFile, match='no frame names in common'):
        compare(read_report(reports / 'strict'), other)
