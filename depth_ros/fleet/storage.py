"""Recordings and results in local folders and in object stores (``s3://``, ``gs://`` and whatever fsspec supports).

Libraries are only imported for locations that are not local.
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from depth_ros.errors import BadFile
from depth_ros.files.install_command import install_command
from depth_ros.files.model_cache import cache_folder

SIZE_VARIABLE = 'DEPTH_ROS_RECORDINGS_GB'
"""Environment variable with the size of the cache for recordings of object stores, GB."""
_DEFAULT_GB = 20.0
_TAGS = ('ETag', 'etag', 'generation', 'mtime', 'LastModified', 'updated', 'created')
"""Keys of fsspec's file details that change when the content changes; the first one that is present is used."""


def is_remote(location: str) -> bool:
    """Return whether a location is the address of an object store."""
    return '://' in location and not location.startswith('file://')


def local_path(location: str) -> Path:
    """Return the path of a local location, with or without ``file://``."""
    return Path(location.removeprefix('file://'))


def expanded(locations: Sequence[str]) -> list[str]:
    """Return the locations with the wildcards in addresses of object stores expanded, as a shell does for files.

    Raises:
        BadFile: the store cannot be reached.
    """
    found: list[str] = []
    for location in locations:
        if not is_remote(location) or not set(location) & set('*?['):
            found.append(location)
            continue
        with _store(location) as (system, root):
            matches = [system.unstrip_protocol(each) for each in sorted(system.glob(root.rstrip('/')))]
        if not matches:
            raise BadFile(f'{location} matches nothing; expected the address of recordings')
        found += matches
    return found


def list_files(location: str) -> dict[str, list[Any]]:
    """Return size in bytes, and modification time in nanoseconds or tag of the content, of every file by its name.

    Names are relative to the location; that of a single file is its own name. There are none if it does not exist.

    Raises:
        BadFile: the store cannot be reached.
    """
    if is_remote(location):
        with _store(location) as (system, root):
            system.invalidate_cache()
            found = system.find(root, detail=True)
            return {_name_in(root, path): [info['size'], _tag(info)] for path, info in sorted(found.items())}
    path = local_path(location)
    files = sorted(each for each in path.rglob('*') if each.is_file()) if path.is_dir() else [path]
    stats = {each: each.stat() for each in files if each.exists()}
    folder = path if path.is_dir() else path.parent
    return {each.relative_to(folder).as_posix(): [stat.st_size, stat.st_mtime_ns] for each, stat in stats.items()}


def read_file(location: str, name: str) -> bytes | None:
    """Return the content of a small file below a location; None if it does not exist.

    Raises:
        BadFile: the store cannot be reached.
    """
    if is_remote(location):
        with _store(location) as (system, root), suppress(FileNotFoundError):
            return bytes(system.cat_file(f'{root}/{name}'))
        return None
    with suppress(OSError):
        return (local_path(location) / name).read_bytes()
    return None


@contextmanager
def stored_folder(location: str) -> Iterator[Path]:
    """Yield a folder to write to; if the location is in an object store, its files are copied there at the end.

    Raises:
        BadFile: the store cannot be written.
    """
    if not is_remote(location):
        yield local_path(location)
        return
    with TemporaryDirectory(prefix='depth_ros_') as folder:
        yield Path(folder)
        with _store(location) as (system, root):
            for path in sorted(Path(folder).iterdir()):
                system.put_file(str(path), f'{root.rstrip("/")}/{path.name}')


def upload(folder: Path, location: str, last: str) -> None:
    """Copy the files of a folder to an object store; the file ``last`` is removed first and written last.

    Files at the location that are not in the folder are removed.

    Raises:
        BadFile: the store cannot be written.
    """
    names = [each.relative_to(folder).as_posix() for each in sorted(folder.rglob('*')) if each.is_file()]
    before = list_files(location)
    with _store(location) as (system, root):
        for name in (last, *(each for each in before if each not in names)):
            if name in before:
                system.rm_file(f'{root}/{name}')
        for name in sorted(names, key=lambda each: each == last):
            system.put_file(str(folder / name), f'{root}/{name}')


def remove(location: str) -> None:
    """Remove a folder and its content, if it exists."""
    if not is_remote(location):
        shutil.rmtree(local_path(location), ignore_errors=True)
        return
    with suppress(BadFile), _store(location) as (system, root):
        system.rm(root, recursive=True)


@contextmanager
def local_copy(location: str) -> Iterator[Path]:
    """Yield the local path of a location; what is in an object store is copied to the cache.

    The cache keeps the recordings that were used last, up to the size in $DEPTH_ROS_RECORDINGS_GB (20), besides those
    that are in use. It is shared by all processes of the machine.

    Raises:
        BadFile: the store cannot be reached, or the cache cannot be written.
    """
    if not is_remote(location):
        yield local_path(location)
        return
    files = list_files(location)
    if not files:
        raise BadFile(f'{location} does not exist; expected the address of a recording or dataset')
    key = hashlib.sha256(json.dumps([location, files]).encode()).hexdigest()[:24]
    folder = cache_folder() / 'recordings' / key
    name = PurePosixPath(location).name
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / '.lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process may be copying it
        with _store(location) as (system, root):
            is_file = [*files] == [name] and system.isfile(root)
            for each, (size, _) in files.items():
                target = folder / name if is_file else folder / name / each
                if not target.is_file() or target.stat().st_size != size:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    part = target.with_name(f'.{target.name}.part')
                    system.get_file(root if is_file else f'{root}/{each}', str(part))
                    part.replace(target)
        fcntl.flock(lock, fcntl.LOCK_SH)
        os.utime(folder)
        _make_room(folder.parent)
        yield folder / name


def _make_room(cache: Path) -> None:
    """Remove the recordings that were not used for the longest time and are not in use, until the rest fits."""
    limit = float(os.environ.get(SIZE_VARIABLE) or _DEFAULT_GB) * 1e9
    folders = sorted((each for each in cache.iterdir() if each.is_dir()), key=lambda each: -each.stat().st_mtime_ns)
    used = 0
    for folder in folders:
        used += sum(each.stat().st_size for each in folder.rglob('*') if each.is_file())
        if used <= limit:
            continue
        with suppress(OSError), (folder / '.lock').open('w') as lock:  # BlockingIOError: it is in use
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _store(location: str) -> Iterator[tuple[Any, str]]:
    """Yield the file system of an address and the path in it.

    Raises:
        BadFile: a library is missing, or an operation in the block fails.
    """
    try:
        import fsspec

        yield fsspec.core.url_to_fs(location)
    except ImportError as error:
        raise BadFile(
            f'{location} needs the library of its store ({error}): {install_command("fleet")} for s3://, gcsfs for gs://'
        ) from error
    except BadFile:
        raise
    except Exception as error:  # the libraries of the stores raise errors of many types
        reason = ' '.join(str(error).split()).rstrip('.')
        raise BadFile(f'{location} cannot be accessed: {reason}. Check address, credentials and connection') from error


def _name_in(root: str, path: str) -> str:
    return path.removeprefix(root.rstrip('/')).lstrip('/') or PurePosixPath(path).name


def _tag(info: dict[str, Any]) -> str:
    return next((str(info[key]) for key in _TAGS if info.get(key) is not None), '')
