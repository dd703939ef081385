"""The child process that builds an engine: ``python -m depth_ros.networks.runtimes.build_engine FOLDER``.

Compiling takes minutes inside one native call, which Python cannot interrupt; a process can be killed. ``FOLDER``
contains ``request.json`` (ONNX file, session options) and ``inputs.npz`` (one array for each input, made from the
self-check image). The engine is written there, and with it ``reference.npz``: the output that the CPU computes in full
precision.
"""

import ctypes
import json
import signal
import sys
from contextlib import closing
from pathlib import Path

import numpy as np

NOT_WRITTEN = 4
"""Exit code: the engine was built, but it could not be written to a file."""
_PR_SET_PDEATHSIG = 1  # sys/prctl.h


def main() -> int:
    """Build the engine; if that fails, print the reason on standard error."""
    _end_with_parent()
    from depth_ros.errors import DepthRosError
    from depth_ros.networks.runtimes.onnx_runtime import OnnxRuntime
    from depth_ros.networks.runtimes.runtime import RuntimeOptions

    folder = Path(sys.argv[1])
    request = json.loads((folder / 'request.json').read_text(encoding='utf-8'))
    with np.load(folder / 'inputs.npz', allow_pickle=False) as content:
        inputs = dict(content)
    onnx = Path(request['onnx'])
    before = set(folder.iterdir())
    try:
        with closing(OnnxRuntime(onnx, RuntimeOptions(**request['options']), engines=folder)) as runtime:
            runtime.infer(inputs)
        if set(folder.iterdir()) == before:
            return NOT_WRITTEN
        if request['reference']:
            with closing(OnnxRuntime(onnx, RuntimeOptions('cpu'))) as runtime:
                outputs = runtime.infer(inputs)
            np.savez(folder / 'reference.npz', expected=outputs[request['reference']])
    except DepthRosError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _end_with_parent() -> None:
    if sys.platform == 'linux':
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == '__main__':
    sys.exit(main())
