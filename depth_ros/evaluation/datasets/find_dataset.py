"""What somebody names on the command line → the dataset that is there."""

from pathlib import Path

from depth_ros.errors import BadFile
from depth_ros.evaluation.datasets.bag_and_simulator import recorded, simulated
from depth_ros.evaluation.datasets.image_folders import find_folder
from depth_ros.evaluation.datasets.indoor_datasets import find_nyu, find_tum
from depth_ros.evaluation.datasets.kitti_datasets import find_depth, find_stereo
from depth_ros.evaluation.datasets.middlebury_datasets import find_scenes
from depth_ros.evaluation.datasets.sample import Dataset
from depth_ros.messages.topic_names import TopicNames

_LAYOUTS = """expected one of
  image/ and depth/ with files of one name (and right/ for pairs)
  Middlebury or ETH3D: folders with im0.png, im1.png, calib.txt, disp0.pfm or disp0GT.pfm
  KITTI depth: image/, groundtruth_depth/, intrinsics/;  KITTI stereo: training/ with image_2, image_3, disp_occ_0
  NYU Depth v2: nyu_depth_v2_labeled.mat;  TUM RGB-D: rgb.txt and depth.txt
  a bag with a topic of true depth;  sim:SEED"""


def find_dataset(
    text: str,
    stereo: bool,
    units_a_metre: float = 1000.0,
    names: TopicNames | None = None,
    truth_topic: str = 'truth/depth',
) -> Dataset:
    """Return the dataset at a place, by its layout.

    Args:
        text: A path, or ``sim:SEED``.
        stereo: Whether pairs are wanted.
        units_a_metre: Of the 16-bit depth files of a plain folder.
        names: Of a bag's topics.
        truth_topic: Of a bag; below the namespace unless it begins with a slash.

    Raises:
        BadFile: there is none that is known, or nothing in it.
    """
    found = simulated(text)
    path = Path(text)
    if found is None and not path.exists():
        raise BadFile(f'{path} does not exist')
    if found is None and (path.suffix in ('.mcap', '.db3') or any(path.glob('*.mcap')) or any(path.glob('*.db3'))):
        found = recorded(path, names or TopicNames(), stereo, truth_topic)
    found = (
        found or find_nyu(path) or find_depth(path) or find_stereo(path) or find_tum(path)
        or find_folder(path, units_a_metre) or find_scenes(path)
    )  # fmt: skip
    if found is None:
        raise BadFile(f'{path} is no dataset whose layout is known; {_LAYOUTS}')
    if not found.count:
        raise BadFile(f'{text} ({found.layout}) has nothing to evaluate: {"; ".join(found.remarks) or "it is empty"}')
    return found
