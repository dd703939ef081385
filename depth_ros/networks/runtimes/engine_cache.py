"""Built engines on disk, under a key that covers everything the engine depends on.

An engine contains the weights of a network, compiled for one GPU, one version of TensorRT and one input size; it is
valid for exactly these. An entry is written completely or not at all, one process builds while others wait, and every
file is compared with its checksum before it is used.
"""

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from depth_ros.errors import InferenceError
from depth_ros.files.model_cache import sha256
from depth_ros.networks.runtimes.progress import ProgressListener

_KEY_FILE = 'key.json'
_POLL_S = 0.1
_NOT_FOUND = 'no engine is cached'


@dataclass(frozen=True)
class EngineKey:
    """Everything that an engine depends on."""

    model: str
    """Name of the ONNX file, shown in logs."""
    onnx_sha256: str
    tensorrt: str
    onnxruntime: str
    gpu: str
    compute_capability: str
    precision: str
    shapes: str
    """Shapes of all inputs, as text; the smallest and the largest shapes if the engine accepts batches."""
    options: str
    """Options of the builder, as text."""

    @property
    def digest(self) -> str:
        """Name of the cache entry."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:24]


class EngineCache:
    """A folder of engines, shared by processes.

    Args:
        folder: Folder of the cache; created if it does not exist.
        listener: Receives the reason why an engine is built.
    """

    def __init__(self, folder: Path, listener: ProgressListener) -> None:
        self._folder = folder
        self._listener = listener

    def get(self, key: EngineKey, build: Callable[[Path], None]) -> Path | None:
        """Return the folder of a valid engine; build the engine if there is none.

        Args:
            key: Everything that the engine depends on.
            build: Function that writes the engine's files into a given folder.

        Returns:
            None if the folder cannot be written; the engine must then be built in memory at every start.

        Raises:
            InferenceError: cancelled while another process was building the engine.
            Exception: any error of ``build``; no files remain.
        """
        entry = self._folder / f'{Path(key.model).stem}-{key.digest}'
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with self._lock(entry):
                reason = _why_invalid(entry, key)
                if reason is None:
                    return entry
                self._listener.report(f'building the engine of {key.model}: {self._rebuild_reason(reason, key)}')
                self._replace(entry, key, build)
        except OSError as error:
            self._listener.report(
                f'{self._folder} cannot be written ({error.strerror or error}); the engine of {key.model} is built in '
                'memory at every start. Free space, or set DEPTH_ROS_CACHE to another folder'
            )
            return None
        return entry

    def _replace(self, entry: Path, key: EngineKey, build: Callable[[Path], None]) -> None:
        shutil.rmtree(entry, ignore_errors=True)
        for leftover in self._folder.glob(f'.{entry.name}.*'):  # of killed builds; this process holds the lock
            shutil.rmtree(leftover, ignore_errors=True)
        scratch = self._folder / f'.{entry.name}.{os.getpid()}'
        scratch.mkdir()
        try:
            build(scratch)
            checksums = {path.name: sha256(path) for path in sorted(scratch.iterdir())}
            _write_durably(scratch / _KEY_FILE, json.dumps({'key': asdict(key), 'files': checksums}, indent=2))
            scratch.rename(entry)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    @contextmanager
    def _lock(self, entry: Path) -> Iterator[None]:
        with (self._folder / f'{entry.name}.lock').open('w') as file:
            reported = False
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if not reported:
                        self._listener.report('another process is building the same engine; waiting for it')
                    reported = True
                    if self._listener.cancelled():
                        raise InferenceError('cancelled while another process was building the engine') from None
                    time.sleep(_POLL_S)
            yield

    def _rebuild_reason(self, reason: str, key: EngineKey) -> str:
        """Return what differs from a cached engine of the same model; if there is none, return the given reason."""
        others = [_read_key(path) for path in self._folder.glob(f'{Path(key.model).stem}-*/{_KEY_FILE}')]
        differences = [
            ', '.join(
                f'{name} was {other.get(name)}, is {value}'
                for name, value in asdict(key).items()
                if other.get(name) != value
            )
            for other in others
            if other is not None
        ]
        return min(differences, key=len) if reason == _NOT_FOUND and differences else reason


def _why_invalid(entry: Path, key: EngineKey) -> str | None:
    """Return the reason why an entry cannot be used; None if it is valid."""
    if not entry.is_dir():
        return _NOT_FOUND
    try:
        content = json.loads((entry / _KEY_FILE).read_text(encoding='utf-8'))
        if content['key'] != asdict(key):
            return 'the cached engine was built for another configuration'
        for name, checksum in content['files'].items():
            if sha256(entry / name) != checksum:
                return f'the cached engine is damaged ({name} has another checksum)'
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f'the cached engine is damaged ({type(error).__name__}: {error})'
    return None


def _read_key(path: Path) -> dict[str, Any] | None:
    try:
        key = json.loads(path.read_text(encoding='utf-8'))['key']
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return key if isinstance(key, dict) else None


def _write_durably(path: Path, text: str) -> None:
    with path.open('w', encoding='utf-8') as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
