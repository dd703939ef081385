"""A script that replaces the compiler of TensorRT, with the interface of ``build_engine``, and a GPU."""

import sys

from depth_ros.networks.runtimes.gpu import Gpu

GPU = Gpu('NVIDIA RTX 4090', '8.9', '10.3.0')
COMPILER = """
import sys, time
from pathlib import Path
folder = Path(sys.argv[1])
time.sleep({seconds})
{act}
(folder / 'net.engine').write_bytes(b'engine' * 100)
"""


def child(seconds=0.0, act=''):
    return [sys.executable, '-c', COMPILER.format(seconds=seconds, act=act)]
