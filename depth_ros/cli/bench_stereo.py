"""``depth-ros bench stereo``: accuracy and run time of stereo matchers on pairs with true disparity. Needs no ROS."""

import argparse
import json
from pathlib import Path

from depth_ros.errors import BadFile

_EPILOG = """PATH is a folder or a recording with stereo pairs and ground truth:
  folders, at any depth, with left.png, right.png and disparity.png (or .pfm, .npy, .tif; also named disp): pixels of
    the left image, 0 = unknown; disparity_x256.png has 256 units per pixel. Every right_NAME.png makes another pair
    with the same left image. max_disparity in meta.json is the number of disparities to search
  every layout of depth-ros eval that contains pairs: Middlebury, ETH3D, KITTI stereo 2015, image folders, bags,
    sim:SEED
Without PATH, the Motorcycle pair of scikit-image is used.

examples:
  depth-ros bench stereo Middlebury/trainingH --json figures.json --html page.html
  depth-ros bench stereo kitti/training sim:1:2 --max-disparity 128

All matchers search the same number of disparities. They take turns, and the median of their run times is reported.
The tables are Markdown."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument('paths', metavar='PATH', nargs='*', default=[''], help='pairs with ground truth (Motorcycle)')
    parser.add_argument(
        '--max-disparity', type=positive, metavar='PX',
        help='number of disparities to search, rounded up to a multiple of 16 (that of meta.json, or as many as the '
        'ground truth requires)',
    )  # fmt: skip
    parser.add_argument(
        '--repeat', type=positive, default=5, help='runs of each matcher, of which the median time is reported (5)'
    )
    parser.add_argument('--json', metavar='FILE', help='write the figures as JSON; - for standard output')
    parser.add_argument('--html', type=Path, metavar='FILE', help='write a page with the tables and all images')


def positive(text: str) -> int:
    """Return a whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a positive whole number")
    return int(text)


def run(options: argparse.Namespace) -> int:
    """Run the benchmark and print or write the figures; return 1 if no pair could be read."""
    import cv2
    from tqdm import tqdm

    from depth_ros.evaluation import stereo_benchmark_report as report
    from depth_ros.evaluation.benchmark_matchers import benchmark_matchers
    from depth_ros.evaluation.stereo_benchmark import StereoBenchmark, find_pairs, run_benchmark
    from depth_ros.memory import keep_freed_memory

    keep_freed_memory()
    datasets = [find_pairs(path) for path in options.paths]
    for remark in (remark for dataset in datasets for remark in dataset.remarks):
        print(f'note: {remark}')
    matchers, missing = benchmark_matchers()
    pictures, benchmark = report.BenchmarkPictures(), StereoBenchmark()
    on_pair = pictures.add if options.html else lambda pair: None
    count = sum(dataset.count for dataset in datasets)
    results = run_benchmark(datasets, matchers, options.max_disparity, options.repeat, on_pair)
    for newest in tqdm(results, total=count, unit='pair', delay=0.2):
        benchmark = newest
    about = {'opencv': cv2.__version__, 'threads': cv2.getNumThreads(), 'repeat': options.repeat}
    if options.json:
        write_text(options.json, json.dumps(report.json_report(benchmark, missing, about), indent=1) + '\n')
    if options.html:
        write_text(str(options.html), report.html_report_page(benchmark, missing, about, pictures))
    if options.json != '-':
        print(report.markdown_table(report.figure_rows(benchmark, missing)))
        print(f'\n{report.LEGEND}\n')
        print(report.markdown_table(report.reliability_rows(benchmark)))
        print()
        for name, command in missing.items():
            print(f'{name} is not installed: {command}')
        for name, reason in benchmark.failed.items():
            print(f'failed: {name}: {reason}')
        for pair in benchmark.pairs:
            for name, reason in pair.failed.items():
                print(f'failed: {name} on {pair.name}: {reason}')
    return 0 if benchmark.pairs else 1


def write_text(destination: str, text: str) -> None:
    """Write a text to a file, or print it if the destination is -.

    Raises:
        BadFile: the file cannot be written.
    """
    if destination == '-':
        print(text, end='')
        return
    try:
        Path(destination).write_text(text, encoding='utf-8')
    except OSError as error:
        raise BadFile(f'{destination} cannot be written: {error.strerror}') from error
