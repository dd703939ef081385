"""Results that are either finished or absent.

A result is a folder. It is written under a temporary name beside its final one and renamed as the last step. It
contains a record (``finished.json``) of what it was made from, so that a later run can tell whether it would make the
same again.
"""

import errno
import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from depth_ros import __version__
from depth_ros.errors import BadFile
from depth_ros.files.model_cache import sha256
from depth_ros.fleet.storage import is_remote, list_files, local_path, read_file, upload
from depth_ros.networks.catalog import find_manifest
from depth_ros.settings.common_settings import Settings

RECORD_NAME = 'finished.json'
_SCHEMA = 1


def description_of_settings(settings: Settings, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a result depends on besides its input: settings, files of the model, mask, version, options.

    Args:
        settings: Settings of the node. The checksums of the model and of ``filter.mask_file`` are computed.
        options: Options of the command that affect the result.

    Raises:
        BadManifest: the model is unknown.
    """
    files: list[Path] = []
    manifest_text = ''
    if settings.model:
        manifest, folder = find_manifest(settings.model)
        manifest_text = repr(manifest)
        # External weights have the name of the file and a suffix: model.onnx.data, model.onnx_data.
        files += sorted({each for name in manifest.files for each in folder.glob(f'{name}*') if each.is_file()})
    if settings.filter_mask_file:
        files.append(Path(settings.filter_mask_file).expanduser())
    description = {
        'version': __version__,
        'settings': asdict(settings),
        'manifest': manifest_text,
        'checksums': {each.name: sha256(each) for each in files if each.is_file()},
        'options': dict(options),
    }
    return dict(json.loads(json.dumps(description)))  # as it is read back from a record: lists instead of tuples


def recorded(target: str) -> dict[str, Any] | None:
    """Return the record of a finished result; None if there is none, or if one of its files has another size.

    Raises:
        BadFile: the store cannot be reached.
    """
    try:
        record = json.loads(read_file(target, RECORD_NAME) or b'')
        if record['schema'] != _SCHEMA or record['files'] != _sizes(target):
            return None
        record['made_from'], record['figures']
    except (ValueError, KeyError, TypeError):
        return None
    return dict(record)


def differences(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = '') -> list[str]:
    """Return the names of the entries that differ, with dots between the levels."""
    names: list[str] = []
    for name in sorted({*before, *now}):
        a, b = before.get(name), now.get(name)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            names += differences(a, b, f'{prefix}{name}.')
        elif a != b:
            names.append(f'{prefix}{name}')
    return names


def make_result(target: Path, made_from: Mapping[str, Any], make: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    """Make a result under a temporary name, and give it its name when it is complete.

    If the process is killed, a folder ``<target>.part-<machine>-<process>`` remains, which the next run on the same
    machine removes. After Ctrl-C it contains what was written so far.

    Args:
        target: The folder of the result. An older result of this function is replaced.
        made_from: What the result is made from; kept in the record.
        make: Writes the folder that it is passed, and returns the figures for the record, as plain JSON values.

    Returns:
        The figures.

    Raises:
        BadFile: the target exists and is not such a result, or cannot be written.
    """
    check_replaceable(str(target))
    _remove_abandoned(target)
    holder = target.with_name(f'{target.name}.part-{socket.gethostname()}-{os.getpid()}')
    part = holder / target.name  # in a folder of its own, because recordings name their files after their folder
    try:
        holder.mkdir(parents=True)
        figures = make(part)
        record = {'schema': _SCHEMA, 'made_from': made_from, 'figures': figures, 'files': _sizes(str(part))}
        (part / RECORD_NAME).write_text(json.dumps(record, indent=1), encoding='utf-8')
        _flush(part)
        _move(part, target)
    except OSError as error:
        shutil.rmtree(holder, ignore_errors=True)
        raise BadFile(f'{target} cannot be written: {error.strerror or error}') from error
    except Exception:
        shutil.rmtree(holder, ignore_errors=True)
        raise
    for each in _parts(target):
        shutil.rmtree(each, ignore_errors=True)
    return figures


def store_result(target: str, made_from: Mapping[str, Any], make: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    """Make a result in a local folder (``make_result``) or in an object store.

    In a store, which cannot rename, the record is written last: a result without it is not finished.

    Raises:
        BadFile: the target exists and is not such a result, or cannot be written.
    """
    if not is_remote(target):
        return make_result(local_path(target), made_from, make)
    check_replaceable(target)
    with TemporaryDirectory(prefix='depth_ros_') as folder:
        part = Path(folder) / target.rstrip('/').rpartition('/')[2]
        figures = make_result(part, made_from, make)
        upload(part, target, RECORD_NAME)
    return figures


def check_replaceable(target: str) -> None:
    """Check that a target does not exist, or is a result that may be made again.

    Raises:
        BadFile: it is something else.
    """
    exists = bool(list_files(target)) if is_remote(target) else local_path(target).exists()
    if exists and read_file(target, RECORD_NAME) is None:
        raise BadFile(
            f'{target} cannot be written: it exists and was not made by this command. Choose another name, or remove it'
        )


def _sizes(folder: str) -> dict[str, int]:
    return {name: size for name, (size, _) in list_files(folder).items() if name != RECORD_NAME}


def _parts(target: Path) -> Iterator[Path]:
    prefix = f'{target.name}.part-'
    return (each for each in target.parent.glob('*.part-*') if each.name.startswith(prefix))


def _remove_abandoned(target: Path) -> None:
    """Remove the temporary folders of this process and of processes of this machine that have ended."""
    for each in _parts(target):
        machine, _, process = each.name.removeprefix(f'{target.name}.part-').rpartition('-')
        if machine == socket.gethostname() and (int(process) == os.getpid() or not psutil.pid_exists(int(process))):
            shutil.rmtree(each, ignore_errors=True)


def _flush(folder: Path) -> None:
    """Write the files of a folder to the disk, so that the rename never survives a power failure without them."""
    for each in folder.rglob('*'):
        if each.is_file():
            descriptor = os.open(each, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _move(part: Path, target: Path) -> None:
    """Rename a complete result; an older one is moved away first. If another process was faster, its result stays."""
    if target.exists():
        old = part.with_name('replaced')
        target.rename(old)
    try:
        part.rename(target)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY) or recorded(str(target)) is None:
            raise
