"""Evaluation of many recordings or datasets: what a worker loads once, and what it does for each of them."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from depth_ros.errors import BadFile
from depth_ros.estimators.estimator import Estimator, MonoEstimator
from depth_ros.evaluation.alignment import Alignment
from depth_ros.evaluation.comparable_settings import effective_parameters
from depth_ros.evaluation.datasets.find_dataset import find_dataset
from depth_ros.evaluation.evaluate import Evaluation, evaluate, evaluation_estimator
from depth_ros.evaluation.evaluation_protocol import EvaluationProtocol
from depth_ros.evaluation.html_report import BestAndWorstFrames, html_page
from depth_ros.evaluation.report import build_report, write_report
from depth_ros.files.result_folders import make_folder
from depth_ros.fleet.finished_work import store_result
from depth_ros.fleet.recording_work import prepare_process
from depth_ros.fleet.storage import is_remote, local_copy
from depth_ros.fleet.workers import Job, Task
from depth_ros.messages.topic_names import TopicNames
from depth_ros.settings.node_settings import MonoSettings, StereoSettings

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class DatasetWork:
    """``eval`` of datasets with the same settings and protocol."""

    settings: MonoSettings | StereoSettings
    names: TopicNames
    truth_topic: str
    units_per_metre: float
    align: Alignment
    crop: str | None
    """Crop of the protocol; None = the one of the dataset."""
    cap_m: float
    limit: int
    """Largest number of frames of a dataset; 0 = all."""
    threads: int = 0
    """Number of threads of OpenCV in each worker; 0 = as many as cores."""

    @property
    def options(self) -> dict[str, Any]:
        """Options that affect the results, for their records."""
        return {
            'namespace': self.names.namespace,
            'remaps': self.names.remaps,
            'truth_topic': self.truth_topic,
            'units_per_metre': self.units_per_metre,
            'align': self.align,
            'crop': self.crop,
            'cap_m': self.cap_m,
            'limit': self.limit,
        }

    def start(self) -> Job:
        """Load the estimator.

        Raises:
            ModelError, InferenceError: the network is unusable.
        """
        prepare_process(self.threads)
        return partial(self.process, evaluation_estimator(self.settings))

    def process(self, estimator: Estimator | MonoEstimator, task: Task) -> dict[str, Any]:
        """Evaluate one dataset; return the figures of its report without those of frames.

        Raises:
            BadFile: the dataset is unusable, or has no frame with truth.
            BadSettings: the output of the model is not in metres and is not aligned.
        """

        def make(part: Path) -> dict[str, Any]:
            report = self.write(task.source, part, estimator)
            counts = {'frames': len(report['frames']), 'failed': len(report['failed'])}
            return {'estimator': report['estimator'], 'figures': report['figures'], **counts}

        return store_result(task.target, task.made_from, make)

    def write(
        self,
        source: str,
        folder: Path,
        estimator: Estimator | MonoEstimator | None = None,
        progress: Progress = lambda done, count: None,
        note: Callable[[str], None] = lambda text: None,
    ) -> dict[str, Any]:
        """Evaluate one dataset and write its report to a folder; return the report.

        Args:
            source: Path of the dataset, or ``sim:SEED``.
            folder: Folder of the report.
            estimator: Estimator of ``evaluation_estimator``; None = loaded for this dataset.
            progress: Called after every frame with the number of frames done and of all frames.
            note: Called with irregularities of the dataset.

        Raises:
            BadFile, BadSettings, ModelError, InferenceError: as ``process`` and ``start``.
        """
        if not is_remote(source):
            return self._write(source, source, folder, estimator, progress, note)
        with local_copy(source) as path:
            return self._write(source, str(path), folder, estimator, progress, note)

    def _write(
        self,
        source: str,
        path: str,
        folder: Path,
        estimator: Estimator | MonoEstimator | None,
        progress: Progress,
        note: Callable[[str], None],
    ) -> dict[str, Any]:
        stereo = isinstance(self.settings, StereoSettings)
        dataset = find_dataset(path, stereo, self.units_per_metre, self.names, self.truth_topic)
        for remark in dataset.remarks:
            note(remark)
        protocol = EvaluationProtocol(self.align, dataset.crop if self.crop is None else self.crop, self.cap_m)
        make_folder(folder)
        extremes, evaluation = BestAndWorstFrames(), Evaluation()
        count = min(self.limit or dataset.count, dataset.count)
        with closing(evaluate(dataset, self.settings, protocol, extremes.add, estimator)) as frames:
            for done, newest in enumerate(islice(frames, count), 1):
                evaluation = newest
                progress(done, count)
        if not evaluation.frames and not evaluation.failed:
            raise BadFile(f'{source} has no frame with ground truth of the same stamp')
        about = {
            'dataset': source,
            'layout': dataset.layout,
            'node': 'stereo_depth' if stereo else 'mono_depth',
            'protocol': f'align {protocol.align}, crop {protocol.crop or "none"}, '
            f'cap {f"{self.cap_m:g} m" if self.cap_m else "none"}',
            'settings': effective_parameters(self.settings),
        }
        report = build_report(evaluation, about)
        write_report(folder, report, html_page(report, extremes))
        return report
