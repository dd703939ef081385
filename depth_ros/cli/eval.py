"""``depth-ros eval``: how good depth is, on pictures whose depth is known. No ROS."""

import argparse
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from depth_ros.cli.node_options import add_node_options, node_settings, ros_parameters
from depth_ros.errors import BadFile

_EPILOG = """DATASET is known by its layout:
  DIR with image/ and depth/ (16-bit PNG, PFM, TIFF, NPY) of one name; right/, left.yaml, right.yaml for pairs
  Middlebury or ETH3D scenes; KITTI depth or stereo 2015; nyu_depth_v2_labeled.mat; TUM RGB-D
  a bag with a topic of true depth; sim:SEED, our simulator

examples:
  depth-ros eval --model sim-indoor sim:1 --out report
  depth-ros eval --model raft-stereo.onnx Middlebury/trainingH
  depth-ros eval --model midas.onnx --align affine --crop nyu --cap 10 nyu_depth_v2_labeled.mat
  depth-ros eval compare report_a report_b

Filters and range limits are off unless they are given (-p, --params), as the benchmarks expect; the report prints every
setting that shapes the depth values."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument('dataset', metavar='DATASET', help='a path, or sim:SEED')
    add_node_options(parser)
    parser.add_argument(
        '--align',
        choices=('none', 'median', 'affine'),
        default='none',
        help='what a picture may change before it is compared: nothing (none), its scale, its scale and shift',
    )
    parser.add_argument('--crop', choices=('none', 'eigen', 'garg', 'nyu'), help="which part counts (the benchmark's)")
    parser.add_argument('--cap', type=float, default=0.0, metavar='METRES', help='truth beyond does not count (no cap)')
    parser.add_argument('--depth-scale', type=float, default=1000.0, help='units a metre of 16-bit files (1000)')
    parser.add_argument('--truth-topic', default='truth/depth', help="a bag's true depth (truth/depth)")
    parser.add_argument('--limit', type=int, default=0, metavar='N', help='evaluate the first N only')
    parser.add_argument('--out', type=Path, default=Path('eval_output'), help='folder of the report (eval_output)')


def run(options: argparse.Namespace) -> int:
    """Evaluate; 1 if no frame could be."""
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
    from depth_ros.settings.node_settings import StereoSettings

    keep_freed_memory()
    settings = node_settings(options)
    settings = comparable_settings(settings, ros_parameters(options))
    stereo = isinstance(settings, StereoSettings)
    names = TopicNames(options.namespace, options.remaps)
    dataset = find_dataset(options.dataset, stereo, options.depth_scale, names, options.truth_topic)
    for remark in dataset.remarks:
        print(f'note: {remark}')
    crop = dataset.crop if options.crop is None else options.crop.replace('none', '')
    protocol = EvaluationProtocol(options.align, crop, options.cap)
    make_folder(options.out)
    extreme_frames, found = BestAndWorstFrames(), Evaluation()
    count = min(options.limit or dataset.count, dataset.count)
    frames = evaluate(dataset, settings, protocol, extreme_frames.add)
    with closing(frames), tqdm(total=count, unit='frame', delay=0.2) as bar:
        for newest in islice(frames, count):
            found = newest
            bar.update()
    if not found.frames and not found.failed:
        raise BadFile(f'{options.dataset} has no frame with its truth at the same time')
    words = f'align {protocol.align}, crop {crop or "none"}, cap {f"{options.cap:g} m" if options.cap else "none"}'
    about = {
        'dataset': options.dataset,
        'layout': dataset.layout,
        'node': options.node,
        'protocol': words,
        'settings': effective_parameters(settings),
    }
    report = build_report(found, about)
    write_report(options.out, report, html_page(report, extreme_frames))
    _print(report, options.out)
    return 0 if found.frames else 1


def _print(report: dict[str, Any], out: Path) -> None:
    from depth_ros.evaluation.comparable_settings import format_parameters

    print(f'{report["estimator"]} on {report["dataset"]} ({report["layout"]}; {report["protocol"]})')
    print(f'  settings: {format_parameters(report["settings"])}')
    for name, value in report['figures'].items():
        print(f'  {name:<12} {"-" if value is None else format(value, ".4f")}')
    for each in report['by_distance']:
        to_m = each['to_m'] if each['to_m'] is not None else float('inf')
        error = '-' if each['abs_rel'] is None else format(each['abs_rel'], '.4f')
        print(f'  {each["from_m"]:4g} to {to_m:4g} m: AbsRel {error}, {each["valid_share"]:.1%} valid')
    failed = list(report['failed'].items())
    print(
        f'{len(report["frames"])} frames evaluated, {len(failed)} failed; report.html, report.json, frames.csv in {out}'
    )
    for name, why in failed[:5]:
        print(f'  {name}: {why}')
