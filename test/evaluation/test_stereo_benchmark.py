"""Measures, reading and reports of ``depth-ros bench stereo``; the expected values are computed in another way."""

import json
import re
import sys

import cv2
import numpy as np
import pytest
from scenes import calibrations, pair, write_info

from depth_ros.cli.main import main
from depth_ros.errors import BadFile
from depth_ros.evaluation.benchmark_matchers import benchmark_matchers
from depth_ros.evaluation.confidence_reliability import ConfidenceReliability
from depth_ros.evaluation.datasets.disparity_folders import find_disparity_folders
from depth_ros.evaluation.datasets.sample import Sample
from depth_ros.evaluation.matching_accuracy import filled_with_background, matching_accuracy
from depth_ros.evaluation.stereo_benchmark import find_pairs, search_range
from depth_ros.settings.node_settings import StereoSettings
from depth_ros.settings.parameter_table import rules

N, INF = np.nan, np.inf
QUALITIES = rules(StereoSettings)['quality'].choices


def filled_pixel_by_pixel(disparity):
    """Fill holes as the development kit of KITTI does, pixel by pixel."""
    result = disparity.copy()
    for row in result:
        known = [u for u, value in enumerate(row) if np.isfinite(value)]
        for u, value in enumerate(list(row)):
            if known and not np.isfinite(value):
                around = [row[v] for v in (max((k for k in known if k < u), default=None),
                                           min((k for k in known if k > u), default=None)) if v is not None]  # fmt: skip
                row[u] = min(around)
    rows = [v for v, row in enumerate(result) if np.isfinite(row).any()]
    if rows:
        result[: rows[0]], result[rows[-1] + 1 :] = result[rows[0]], result[rows[-1]]
    return result


def expected_figures(disparity, truth):
    """Compute the figures with loops over the pixels."""
    filled, errors, wrong_filled, count = filled_pixel_by_pixel(disparity), [], 0, 0
    for value, background, true in zip(disparity.flat, filled.flat, truth.flat, strict=True):
        if np.isnan(true):
            continue
        count += 1
        wrong_filled += not (abs(background - true) <= 3 or abs(background - true) <= 0.05 * true)
        if not np.isnan(value):
            errors.append((abs(float(value) - float(true)), float(true)))

    def share(condition):
        return sum(map(condition, errors)) / len(errors)

    return {
        'valid_share': len(errors) / count,
        'bad1': share(lambda e: e[0] > 1),
        'bad2': share(lambda e: e[0] > 2),
        'bad4': share(lambda e: e[0] > 4),
        'd1': share(lambda e: e[0] > 3 and e[0] > 0.05 * e[1]),
        'd1_filled': wrong_filled / count,
        'epe_px': sum(e[0] for e in errors) / len(errors),
    }


def sgbm(left, right, disparities, mode):
    matcher = cv2.StereoSGBM.create(0, disparities, 5, 200, 800, 0, 0, 10, 100, 2, mode)
    raw = matcher.compute(*(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (left, right)))
    return np.where(raw < 0, N, raw / 16).astype(np.float32)


def write_pair(folder, left, right, truth, name='disparity.npy', units=1.0):
    folder.mkdir(parents=True, exist_ok=True)
    for side, image in (('left', left), ('right', right)):
        cv2.imwrite(str(folder / f'{side}.png'), image if image.ndim == 2 else image[..., ::-1])
    if name.endswith('.npy'):
        np.save(folder / name, truth)
    else:
        values = np.round(np.nan_to_num(truth) * units)
        cv2.imwrite(str(folder / name), values.astype(np.uint8 if values.max() < 256 else np.uint16))
    return folder


def shifted(disparity=9.0, height=60, width=160):
    truth = np.full((height, width), disparity, np.float32)
    return *pair(truth), truth


def bench(capsys, *arguments):
    code = main(['bench', 'stereo', '--repeat', '1', '--json', '-', *map(str, arguments)])
    return code, json.loads(capsys.readouterr().out)


def test_the_figures_of_motorcycle_are_those_of_an_independent_computation(motorcycle, tmp_path, capsys):
    rows = slice(200, 290)
    left, right, truth = motorcycle.left[rows], motorcycle.right[rows], motorcycle.disparity_px[rows]
    write_pair(tmp_path / 'motorcycle', left, right, truth)
    page = tmp_path / 'page.html'
    code, report = bench(capsys, tmp_path, '--html', page)
    (result,) = report['pairs']
    assert code == 0 and result['name'] == 'motorcycle' and result['size'] == [741, 90]
    assert result['disparities'] == 64 and result['truth_pixels'] == np.isfinite(truth).sum()
    for name, mode in (('SGBM 3-way', cv2.STEREO_SGBM_MODE_SGBM_3WAY), ('SGBM HH', cv2.STEREO_SGBM_MODE_HH)):
        expected = expected_figures(sgbm(left, right, 64, mode), truth)
        assert {key: result['figures'][name][key] for key in expected} == pytest.approx(expected, abs=1e-6)
    assert set(QUALITIES) | {'SGBM 3-way', 'SGBM HH'} <= set(result['figures'])
    for quality in QUALITIES:
        own, opencv = result['figures'][quality], result['figures']['SGBM 3-way']
        assert own['time_ratio'] == pytest.approx(own['ms'] / opencv['ms'])
        bins = report['reliability'][quality]
        assert sum(each['share'] for each in bins) == pytest.approx(1)
        assert sum(each['pixels'] for each in bins) == round(own['valid_share'] * result['truth_pixels'])
        correct = sum(each['correct'] * each['pixels'] for each in bins if each['pixels'])
        assert 1 - correct / sum(each['pixels'] for each in bins) == pytest.approx(own['bad2'], abs=1e-6)
    text = page.read_text()
    assert text.count('<img') == 2 + 2 * len(result['figures']) and 'SGBM 3-way' in text
    assert 'http' not in text.replace('http-equiv', '')


@pytest.mark.slow
def test_a_pair_of_the_simulator_is_measured_and_the_means_are_those_of_both_pairs(tmp_path, capsys):
    write_pair(tmp_path, *shifted())
    code, report = bench(capsys, 'sim:1:1', tmp_path, '--max-disparity', 50)
    simulated, wall = report['pairs']
    assert code == 0 and simulated['size'] == [640, 480]
    assert simulated['disparities'] == wall['disparities'] == 64
    assert simulated['truth_pixels'] > 0.9 * 640 * 480
    for name, mean in report['means'].items():
        for figure, value in mean.items():
            both = [each['figures'][name][figure] for each in (simulated, wall)]
            assert value == pytest.approx(sum(both) / 2), (name, figure)
    assert wall['figures']['balanced']['bad1'] < 0.01 and simulated['figures']['balanced']['valid_share'] > 0.5


def test_the_true_disparity_of_a_pair_with_depth_is_computed_from_its_calibration():
    infos = calibrations(8, 6, focal=100.0, baseline_m=0.2, offset_px=3.0)
    image = np.zeros((6, 8), np.uint8)
    sample = Sample('s', image, infos[0], image, infos[1], np.full((6, 8), 4.0, np.float32))
    assert sample.disparity_px() == pytest.approx(np.full((6, 8), 100 * 0.2 / 4 + 3))
    with pytest.raises(BadFile, match='single image'):
        Sample('s', image, truth_m=image).disparity_px()
    with pytest.raises(BadFile, match='8x6, 8x6, 4x6; expected the same size'):
        Sample('s', image, right=image, truth_px=np.ones((6, 4), np.float32)).disparity_px()


@pytest.mark.parametrize('seed', range(5))
def test_holes_are_filled_as_by_the_kitti_benchmark(seed):
    rng = np.random.default_rng(seed)
    disparity = rng.uniform(1, 50, (12, 17)).astype(np.float32)
    disparity[rng.random(disparity.shape) < 0.6] = N
    disparity[[0, 5, 10, 11]] = N
    np.testing.assert_array_equal(filled_with_background(disparity), filled_pixel_by_pixel(disparity))
    assert np.isnan(filled_with_background(np.full((3, 4), N, np.float32))).all()


def test_a_map_without_a_valid_pixel_is_wrong_everywhere_after_filling():
    accuracy = matching_accuracy(np.full((4, 5), N, np.float32), np.full((4, 5), 7.0, np.float32))
    assert accuracy.valid_share == 0 and accuracy.d1_filled == 1 and np.isnan(accuracy.bad2)


def test_an_error_counts_as_d1_above_three_pixels_and_five_per_cent():
    truth = np.float32([[10, 10, 100, 100]])
    accuracy = matching_accuracy(truth + np.float32([[2.9, 3.1, 4.9, 5.1]]), truth)
    assert accuracy.d1 == accuracy.d1_filled == 0.5 and accuracy.bad2 == 1.0 and accuracy.bad4 == 0.5


def test_a_bin_is_unreliable_if_its_share_of_correct_pixels_differs_from_the_confidence():
    truth = np.full(1000, 20.0, np.float32)
    confidence = np.repeat(np.float32([0.95, 0.75, 0.30, 1.0]), [400, 500, 5, 95])
    error = np.zeros(1000, np.float32)
    error[:20] = 2.5  # 5 % of the first 400, as the confidence says
    error[400:700] = 2.5  # 60 % of the next 500
    reliability = ConfidenceReliability()
    reliability.add(truth + error, confidence, truth)
    reliability.add(np.full(9, N, np.float32), np.zeros(9, np.float32), truth[:9])
    bins = reliability.bins()
    assert [each.pixels for each in bins] == [0, 0, 0, 5, 0, 0, 0, 500, 0, 495]
    assert bins[9].correct == pytest.approx(475 / 495)
    assert bins[9].confidence == pytest.approx((400 * 0.95 + 95) / 495) and bins[9].reliable
    assert bins[7].correct == pytest.approx(0.4) and bins[7].share == 0.5 and not bins[7].reliable
    assert bins[3].reliable, 'a bin with at most 1 % of the pixels is not judged'


@pytest.mark.parametrize(
    ('largest', 'wanted', 'count'),
    [(12.9, None, 16), (13.0, None, 16), (14.0, None, 32), (60.0, 64, 64), (60.0, 65, 80)],
)
def test_the_search_range_is_a_multiple_of_16_that_covers_the_truth(largest, wanted, count):
    assert search_range(np.float32([[N, 1.0, largest]]), wanted) == count


def test_folders_with_scaled_disparities_ranges_and_other_right_images_are_read(tmp_path):
    left, right, truth = shifted(9.5)
    truth[0, 0] = N
    write_pair(tmp_path / 'a', left, right, truth, 'disparity_x4.png', 4)
    write_pair(tmp_path / 'b/c', left, right, truth, 'disp_x256.png', 256)
    cv2.imwrite(str(tmp_path / 'b/c/right_other_exposure.png'), right // 2)
    (tmp_path / 'b/c/meta.json').write_text('{"max_disparity": 48}')
    write_pair(tmp_path / 'without_truth', left, right, truth, 'depth.npy')
    samples = [load() for _, load in find_disparity_folders(tmp_path).entries]
    assert [s.name for s in samples] == ['a', 'b/c', 'b/c:other_exposure']
    assert [s.max_disparity for s in samples] == [None, 48, 48]
    for sample in samples:
        np.testing.assert_array_equal(sample.truth_px, truth)
    np.testing.assert_array_equal(samples[2].right, right // 2)
    (tmp_path / 'b/c/meta.json').write_text('{"max_disparity": "many"}')
    with pytest.raises(BadFile, match="max_disparity is 'many'; expected a positive whole number"):
        list(find_disparity_folders(tmp_path).entries)[1][1]()


def test_scenes_of_middlebury_are_evaluated_with_their_occluded_pixels(tmp_path):
    left, right, truth = shifted()
    (tmp_path / 'calib.txt').write_text(
        'width=160\nheight=60\ncam0=[100 0 80; 0 100 30; 0 0 1]\ncam1=[100 0 80; 0 100 30; 0 0 1]\nbaseline=200\n'
    )
    for name, image in (('im0', left), ('im1', right), ('mask0nocc', np.full_like(left, 128))):
        cv2.imwrite(str(tmp_path / f'{name}.png'), image)
    cv2.imwrite(str(tmp_path / 'disp0.pfm'), truth)
    ((_, load),) = find_pairs(str(tmp_path)).entries
    assert np.isfinite(load().disparity_px()).all()


def test_image_folders_that_eval_reads_are_measured_by_their_depth(tmp_path, capsys):
    left, right, truth = shifted(9.0)
    infos = calibrations(160, 60, focal=100.0, baseline_m=0.1)
    for folder, image in (('left', left), ('right', right)):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / '0.png'), image)
        write_info(tmp_path / f'{folder}.yaml', infos[folder == 'right'])
    (tmp_path / 'depth').mkdir()
    np.save(tmp_path / 'depth/0.npy', 10 / truth)
    code, report = bench(capsys, tmp_path)
    assert code == 0 and report['pairs'][0]['figures']['balanced']['bad1'] < 0.01


@pytest.mark.parametrize('content', ['nothing', 'single images'])
def test_a_folder_without_pairs_gives_one_clear_error(tmp_path, capsys, content):
    if content == 'single images':
        for name in ('image', 'depth'):
            (tmp_path / name).mkdir()
            cv2.imwrite(str(tmp_path / name / '0.png'), np.full((48, 64), 900, np.uint16))
    assert main(['bench', 'stereo', str(tmp_path)]) == 1
    printed = capsys.readouterr()
    if content == 'nothing':
        assert printed.err.startswith(f'depth-ros: {tmp_path} has no supported dataset layout; expected one of')
        assert 'folders with left.png, right.png and disparity.png' in printed.err
    else:
        assert 'failed: 0: 0 is a single image; expected a stereo pair' in printed.out
    assert 'Traceback' not in printed.err + printed.out


def test_without_a_path_the_motorcycle_pair_is_used(motorcycle):
    (entry,) = find_pairs('').entries
    np.testing.assert_array_equal(entry[1]().disparity_px(), motorcycle.disparity_px)


def test_a_matcher_that_fails_on_a_pair_is_reported_and_the_others_are_measured(tmp_path, capsys):
    write_pair(tmp_path, *shifted(2.0, height=60, width=24))  # narrower than the search
    code, report = bench(capsys, tmp_path, '--max-disparity', 64)
    (result,) = report['pairs']
    assert code == 0 and set(QUALITIES) <= set(result['figures']) | set(result['failed'])
    assert 'the images have 24 columns; expected more than the' in result['failed']['SGBM 3-way']
    assert main(['bench', 'stereo', '--repeat', '1', str(tmp_path), '--max-disparity', '64']) == 0
    printed = capsys.readouterr().out
    for name, reason in result['failed'].items():
        assert f'failed: {name} on {result["name"]}: {reason}' in printed


def test_a_damaged_pair_is_reported_and_the_others_are_measured(tmp_path, capsys):
    write_pair(tmp_path / 'a', *shifted())
    write_pair(tmp_path / 'b', *shifted())
    (tmp_path / 'b/right.png').write_bytes(b'damaged')
    code, report = bench(capsys, tmp_path)
    assert code == 0 and [each['name'] for each in report['pairs']] == ['a']
    assert 'cannot be decoded' in report['failed']['b']


class Elas:
    """Takes the place of the optional library; returns a disparity of 9 px, and -1 = unknown at the left border."""

    def __init__(self, disp_max):
        assert disp_max == 15

    def process(self, left, right):
        disparity = np.full(left.shape, 9.0, np.float32)
        disparity[:, :40] = -1
        return disparity, disparity


@pytest.fixture
def elas(monkeypatch):
    def replace(module):
        monkeypatch.setitem(sys.modules, 'elas', module)

    return replace


def test_missing_optional_matchers_are_listed_as_not_installed(tmp_path, capsys, elas, monkeypatch):
    elas(None)  # the import fails
    monkeypatch.setattr(cv2, 'ximgproc', object(), raising=False)  # as with both wheels of OpenCV installed
    write_pair(tmp_path, *shifted())
    code, report = bench(capsys, tmp_path)
    assert code == 0 and set(report['not_installed']) == {'ELAS', 'StereoBM + WLS'}
    assert main(['bench', 'stereo', '--repeat', '1', str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert re.search(r'\| mean of 1 +\| ELAS +\| not installed \|', printed)
    assert 'ELAS is not installed: pip install pyelas' in printed


def test_elas_is_measured_if_it_is_installed_and_another_package_of_its_name_is_not_used(tmp_path, capsys, elas):
    elas(type('module', (), {'Elas': Elas}))
    write_pair(tmp_path, *shifted())
    _, report = bench(capsys, tmp_path)
    figures = report['pairs'][0]['figures']['ELAS']
    assert figures['valid_share'] == 0.75 and figures['epe_px'] == 0 and figures['d1_filled'] == 0
    elas(type('module', (), {}))
    assert 'ELAS' in benchmark_matchers()[1]


def test_the_tables_are_markdown(tmp_path, capsys):
    write_pair(tmp_path, *shifted())
    assert main(['bench', 'stereo', '--repeat', '1', str(tmp_path)]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith('|')]
    heading, rule = lines[0].split('|'), lines[1].split('|')
    assert [text.strip() for text in heading[1:-1]] == [
        'pair', 'matcher', 'valid %', 'bad-1 %', 'bad-2 %', 'bad-4 %', 'D1 %', 'D1 filled %', 'EPE px', 'ms', 'time ratio'
    ]  # fmt: skip
    assert all(re.fullmatch(r' (:-+|-+:) ', cell) for cell in rule[1:-1])


def test_files_that_cannot_be_written_are_named(tmp_path, capsys):
    write_pair(tmp_path, *shifted())
    missing = tmp_path / 'missing/page.html'
    assert main(['bench', 'stereo', '--repeat', '1', str(tmp_path), '--html', str(missing)]) == 1
    assert f'{missing} cannot be written' in capsys.readouterr().err
