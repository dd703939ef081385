"""``depth-ros eval``: measure the accuracy of depth on images with ground truth. Needs no ROS."""

import argparse
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from depth_ros.cli.node_options import add_node_options, node_settings, ros_parameters
from depth_ros.errors import BadFile

_EPILOG = """Supported layouts of DATASET:
  folder with image/ and depth/ (16-bit PNG, PFM, TIFF, NPY) of the same names; for pairs also right/, left.yaml,
    right.yaml
  Middlebury or ETH3D scenes; KITTI depth or stereo 2015; nyu_depth_v2_labeled.mat; TUM RGB-D
  recording (bag) with a topic of ground truth depth; sim:SEED, a world of the included simulator

examples:
  depth-ros eval --model sim-indoor sim:1 --out report
  depth-ros eval --model raft-stereo.onnx Middlebury/trainingH
  depth-ros eval --model midas.onnx --align affine --crop nyu --cap 10 nyu_depth_v2_labeled.mat
  depth-ros eval compare report_a report_b

Filters and range limits are off unless they are given (-p, --params), as the benchmarks expect. The report lists every
setting that affects the depth values."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument('dataset', metavar='DATASET', help='path of the dataset, or sim:SEED')
    add_node_options(parser)
    parser.add_argument(
        '--align',
        choices=('none', 'median', 'affine'),
        default='none',
        help='alignment of every image with the ground truth before comparison: none, scale (median), or scale and '
        'shift (affine); default: none',
    )
    parser.add_argument(
        '--crop', choices=('none', 'eigen', 'garg', 'nyu'), help='region that is evaluated (that of the benchmark)'
    )
    parser.add_argument(
        '--cap', type=float, default=0.0, metavar='METRES', help='ignore ground truth beyond this distance (no cap)'
    )
    parser.add_argument(
        '--depth-scale', type=float, default=1000.0, metavar='X', help='units per metre in 16-bit depth files (1000)'
    )
    parser.add_argument(
        '--truth-topic', default='truth/depth', metavar='TOPIC', help='topic of ground truth in a bag (truth/depth)'
    )
    parser.add_argument('--limit', type=int, default=0, metavar='N', help='evaluate only the first N frames')
    parser.add_argument(
        '--out', type=Path, default=Path('eval_output'), metavar='DIR', help='folder for the report (eval_output)'
    )


def run(options: argparse.Namespace) -> int:
    """Evaluate the dataset and write the report; return 1 if every frame failed."""
    from tqdm import tqdm

    from depth_ros.evaluation.comparable_settings import comparable_settings, effective_parameters
    from depth_ros.evaluation.datasets.find_dataset import find_dataset
    from depth_ros.evaluation.evaluate import Evaluation, evaluate
    from depth_ros.evaluation.evaluation_protocol import EvaluationProtocol
    from depth_ros.evaluation.html_report import BestAndWorstFrames, html_page
    from depth_ros.evaluation.report import build_report, write_report
    from depth_ros.files.result_folders import make_folder
    from depth_ros.memory import keep_freed_memory
    from depth_ros.messages.topic_names import TopicNames
    from depth_ros.settings.node_settings import MultiviewSettings, StereoSettings

    keep_freed_memory()
    settings = node_settings(options)
    assert not isinstance(settings, MultiviewSettings)  # not a choice of --node
    settings = comparable_settings(settings, ros_parameters(options))
    stereo = isinstance(settings, StereoSettings)
    names = TopicNames(options.namespace, options.remaps)
    dataset = find_dataset(options.dataset, stereo, options.depth_scale, names, options.truth_topic)
    for remark in dataset.remarks:
        print(f'note: {remark}')
    crop = dataset.crop if options.crop is None else options.crop.replace('none', '')
    protocol = EvaluationProtocol(options.align, crop, options.cap)
    make_folder(options.out)
    extremes, evaluation = BestAndWorstFrames(), Evaluation()
    count = min(options.limit or dataset.count, dataset.count)
    frames = evaluate(dataset, settings, protocol, extremes.add)
    with closing(frames), tqdm(total=count, unit='frame', delay=0.2) as bar:
        for newest in islice(frames, count):
            evaluation = newest
            bar.update()
    if not evaluation.frames and not evaluation.failed:
        raise BadFile(f'{options.dataset} has no frame with ground truth of the same stamp')
    protocol_text = (
        f'align {protocol.align}, crop {crop or "none"}, cap {f"{options.cap:g} m" if options.cap else "none"}'
    )
    about = {
        'dataset': options.dataset,
        'layout': dataset.layout,
        'node': options.node,
        'protocol': protocol_text,
        'settings': effective_parameters(settings),
    }
    report = build_report(evaluation, about)
    write_report(options.out, report, html_page(report, extremes))
    _print(report, options.out)
    return 0 if evaluation.frames else 1


def _print(report: dict[str, Any], out: Path) -> None:
    from depth_ros.evaluation.comparable_settings import format_parameters

    print(f'{report["estimator"]} on {report["dataset"]} ({report["layout"]}; {report["protocol"]})')
    print(f'  settings: {format_parameters(report["settings"])}')
    for name, value in report['figures'].items():
        print(f'  {name:<12} {"-" if value is None else format(value, ".4f")}')
    for row in report['by_distance']:
        to_m = row['to_m'] if row['to_m'] is not None else float('inf')
        error = '-' if row['abs_rel'] is None else format(row['abs_rel'], '.4f')
        print(f'  {row["from_m"]:4g} to {to_m:4g} m: AbsRel {error}, {row["valid_share"]:.1%} valid')
    failed = list(report['failed'].items())
    print(
        f'{len(report["frames"])} frames evaluated, {len(failed)} failed; report.html, report.json, frames.csv in {out}'
    )
    for name, reason in failed[:5]:
        print(f'  {name}: {reason}')
