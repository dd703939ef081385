"""Built engines on disk, under a key that cannot lie.

An engine holds a network's weights compiled for one GPU, one TensorRT and one size. It is valid only for exactly these,
so all of them are in the key; an entry is written whole or not at all, one process builds while others wait, and every
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


@dataclass(frozen=True)
class EngineKey:
    """Everything that an engine depends on."""

    model: str
    """Name of the ONNX file, for people."""
    onnx_sha256: str
    tensorrt: str
    onnxruntime: str
    gpu: str
    compute_capability: str
    precision: str
    shapes: str
    """Of every input, as text; smallest and largest where batches are taken."""
    options: str
    """Of the builder, as text."""

    @property
    def digest(self) -> str:
        """A name for the entry."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:24]


class EngineCache:
    """A folder of engines, shared by processes.

    Args:
        folder: Made if missing.
        watch: Told why an engine is built.
    """

    def __init__(self, folder: Path, watch: ProgressListener) -> None:
        self._folder = folder
        self._watch = watch

    def get(self, key: EngineKey, build: Callable[[Path], None]) -> Path | None:
        """Return the folder of a valid engine, built now if there is none.

        Args:
            key: What the engine must be for.
            build: Writes the engine's files into the folder that it is given.

        Returns:
            None if the folder cannot be written: the engine then has to be built in memory, at every start.

        Raises:
            InferenceError: cancelled while another process was building.
            Exception: what ``build`` raises; nothing is left behind.
        """
        entry = self._folder / f'{Path(key.model).stem}-{key.digest}'
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with self._lock(entry):
                reason = _why_invalid(entry, key)
                if reason is None:
                    return entry
                self._watch.say(f'building the engine of {key.model}: {self._explained(reason, key)}')
                self._replace(entry, key, build)
        except OSError as error:
            self._watch.say(
                f'{self._folder} cannot be written ({error.strerror or error}); the engine of {key.model} is built in '
                'memory at every start. Free space, or set DEPTH_ROS_CACHE to another folder'
            )
            return None
        return entry

    def _replace(self, entry: Path, key: EngineKey, build: Callable[[Path], None]) -> None:
        shutil.rmtree(entry, ignore_errors=True)
        for left_over in self._folder.glob(f'.{entry.name}.*'):  # of builds that were killed; we hold the lock
            shutil.rmtree(left_over, ignore_errors=True)
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
            waited = False
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if not waited:
                        self._watch.say('another process builds the same engine; waiting for it')
                    waited = True
                    if self._watch.cancelled():
                        raise InferenceError('cancelled while another process was building the engine') from None
                    time.sleep(_POLL_S)
            yield

    def _explained(self, reason: str, key: EngineKey) -> str:
        """Say what differs from an engine of the same model that is here, if the wanted one simply is not."""
        others = [_read_key(path) for path in self._folder.glob(f'{Path(key.model).stem}-*/{_KEY_FILE}')]
        wanted = asdict(key)
        differences = [
            ', '.join(
                f'{name} was {other.get(name)}, is {wanted[name]}' for name in wanted if other.get(name) != wanted[name]
            )
            for other in others
            if other is not None
        ]
        return min(differences, key=len) if reason == 'there is none' and differences else reason


def _why_invalid(entry: Path, key: EngineKey) -> str | None:
    """Return why an entry cannot be used; None if it can."""
    if not entry.is_dir():
        return 'there is none'
    try:
        content = json.loads((entry / _KEY_FILE).read_text(encoding='utf-8'))
        if content['key'] != asdict(key):
            return 'the one here was made for something else'
        for name, checksum in content['files'].items():
            if sha256(entry / name) != checksum:
                return f'the one here is damaged ({name} has another checksum)'
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f'the one here is damaged ({type(error).__name__}: {error})'
    return None


def _read_key(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding='utf-8'))['key']
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, dict) else None


def _write_durably(path: Path, text: str) -> None:
    with path.open('w', encoding='utf-8') as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
