"""Finds the dataset at a path by its layout."""

from pathlib import Path

from depth_ros.errors import BadFile
from depth_ros.evaluation.datasets.bag_and_simulator import bag_dataset, simulated_dataset
from depth_ros.evaluation.datasets.image_folders import find_image_folder
from depth_ros.evaluation.datasets.indoor_datasets import find_nyu, find_tum
from depth_ros.evaluation.datasets.kitti_datasets import find_kitti_depth, find_kitti_stereo
from depth_ros.evaluation.datasets.middlebury_datasets import find_middlebury
from depth_ros.evaluation.datasets.sample import Dataset
from depth_ros.messages.topic_names import TopicNames

_LAYOUTS = """expected one of
  image/ and depth/ with files of the same names (and right/ for pairs)
  Middlebury or ETH3D: folders with im0.png, im1.png, calib.txt, disp0.pfm or disp0GT.pfm
  KITTI depth: image/, groundtruth_depth/, intrinsics/;  KITTI stereo: training/ with image_2, image_3, disp_occ_0
  NYU Depth v2: nyu_depth_v2_labeled.mat;  TUM RGB-D: rgb.txt and depth.txt
  a bag with a true depth topic;  sim:SEED"""


def find_dataset(
    text: str,
    stereo: bool,
    units_per_metre: float = 1000.0,
    names: TopicNames | None = None,
    truth_topic: str = 'truth/depth',
) -> Dataset:
    """Return the dataset at a path; its layout is detected.

    Args:
        text: A path, or ``sim:SEED``.
        stereo: Whether a bag is read as stereo pairs.
        units_per_metre: Scale of the 16-bit depth files of an image folder.
        names: Topic names of a bag.
        truth_topic: Topic of the true depth in a bag; relative to the namespace unless it begins with a slash.

    Raises:
        BadFile: the path does not exist, has no supported layout, or has no samples.
    """
    dataset = simulated_dataset(text)
    path = Path(text)
    if dataset is None and not path.exists():
        raise BadFile(f'{path} does not exist; expected a dataset, a bag or sim:SEED')
    if dataset is None and (path.suffix in ('.mcap', '.db3') or any(path.glob('*.mcap')) or any(path.glob('*.db3'))):
        dataset = bag_dataset(path, names or TopicNames(), stereo, truth_topic)
    dataset = (
        dataset or find_nyu(path) or find_kitti_depth(path) or find_kitti_stereo(path) or find_tum(path)
        or find_image_folder(path, units_per_metre) or find_middlebury(path)
    )  # fmt: skip
    if dataset is None:
        raise BadFile(f'{path} has no supported dataset layout; {_LAYOUTS}')
    if not dataset.count:
        reason = '; '.join(dataset.remarks) or 'it is empty'
        raise BadFile(f'{text} ({dataset.layout}) has nothing to evaluate: {reason}')
    return dataset
