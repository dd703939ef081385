"""``depth-ros bag process``: compute depth from recordings. Needs no ROS."""

import argparse
import functools
import json
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from depth_ros.cli.node_options import add_node_options, node_settings
from depth_ros.errors import BadFile, DepthRosError
from depth_ros.files.result_folders import make_folder
from depth_ros.settings.node_settings import NodeSettings

if TYPE_CHECKING:
    from depth_ros.bags.bag_processing import ProcessingReport


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        'sources',
        type=Path,
        nargs='+',
        metavar='IN',
        help='folder of a rosbag2 recording (sqlite3, mcap, compressed)',
    )
    parser.add_argument(
        'target',
        type=Path,
        metavar='OUT',
        help='folder of the new bag, which must not exist; with several IN, the folder that will contain the new bags',
    )
    add_node_options(parser, multiview=True)
    parser.add_argument(
        '--cameras',
        default='',
        metavar='A,B',
        help='names of several cameras that share one network; each is a namespace below --namespace',
    )
    parser.add_argument('--keep-inputs', action='store_true', help='also copy the input messages of the cameras')
    parser.add_argument('--mcap', action='store_true', help='write mcap instead of sqlite3')
    parser.add_argument('--jobs', type=int, default=1, metavar='N', help='number of bags processed in parallel (1)')
    parser.add_argument('--json', action='store_true', help='print the figures as JSON, one line per bag')


def run(options: argparse.Namespace) -> int:
    """Process the bags; return 1 if one failed or has frames of which none produced depth."""
    settings = node_settings(options)
    if options.jobs < 1:
        raise BadFile(f'--jobs is {options.jobs}; expected at least 1')
    if len(options.sources) == 1:
        report = _process(options, settings, options.sources[0], options.target, bar=True)
        print(_summary(options.target, report, options.json))
        return int(report.failed)
    names = [source.name for source in options.sources]
    if len(set(names)) < len(names):
        raise BadFile(
            f'the bags are named {", ".join(sorted(names))}; expected unique names. Process bags of the same name '
            'separately'
        )
    make_folder(options.target)
    failed = False
    # Spawned, because forking a process in which OpenCV has started threads may deadlock.
    with ProcessPoolExecutor(options.jobs, multiprocessing.get_context('spawn')) as pool:
        targets = {
            pool.submit(_process, options, settings, source, options.target / source.name): options.target / source.name
            for source in options.sources
        }
        try:
            for done in as_completed(targets):
                try:
                    report = done.result()
                    failed |= report.failed
                    print(_summary(targets[done], report, options.json), flush=True)
                except DepthRosError as error:
                    failed = True
                    print(f'{targets[done]}: {error}', flush=True)
        except KeyboardInterrupt:  # workers close the bags they have open; no further bag is started
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return int(failed)


def _process(
    options: argparse.Namespace, settings: NodeSettings, source: Path, target: Path, bar: bool = False
) -> 'ProcessingReport':
    import cv2

    from depth_ros.bags.bag_processing import process_recording
    from depth_ros.memory import keep_freed_memory

    keep_freed_memory()
    if options.jobs > 1:
        cv2.setNumThreads(max((os.cpu_count() or 1) // options.jobs, 1))
    names = [name.strip(' /') for name in options.cameras.split(',') if name.strip(' /')]
    namespaces = [f'{options.namespace}/{name}' for name in names] or [options.namespace]
    work = functools.partial(
        process_recording,
        source,
        target,
        settings,
        namespaces,
        options.keep_inputs,
        options.mcap,
        remaps=options.remaps,
    )
    if not bar or options.json:
        return work()
    from tqdm import tqdm

    with tqdm(unit='frame', delay=0.2) as progress_bar:

        def update(done: int, count: int) -> None:
            progress_bar.total = count
            progress_bar.update(done - progress_bar.n)

        return work(progress=update)


def _summary(target: Path, report: 'ProcessingReport', as_json: bool) -> str:
    if as_json:
        return json.dumps({'target': str(target), **asdict(report)})
    dropped = ', '.join(f'{count} {reason}' for reason, count in sorted(report.dropped.items())) or 'none'
    text = (
        f'{target}: {report.written} of {report.frames} frames in {report.seconds:.1f} s '
        f'({report.written / report.seconds:.1f} per second), dropped: {dropped}'
    )
    text = f'{text}. The recording is truncated: {report.cut_off}' if report.cut_off else text
    return '\n'.join([*(f'note: {remark}' for remark in report.remarks), text])
