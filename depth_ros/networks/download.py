"""Fetching a model's files: from the Hugging Face hub (``hf://owner/repository/path``) or from any https address."""

import shutil
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from depth_ros.errors import ModelError, ModelLoadError
from depth_ros.files.install_command import install_command
from depth_ros.files.model_cache import cache_folder, sha256
from depth_ros.networks.catalog import command_to_get, record_sha256
from depth_ros.networks.manifest import Manifest

_PIECE = 1 << 20
_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Pulled:
    """One fetched file."""

    path: Path
    sha256: str
    declared: bool
    """The manifest told the checksum beforehand; else it is remembered now, and compared from the next load on."""


def pull(manifest: Manifest, sources: tuple[str, ...] = ()) -> list[Pulled]:
    """Fetch the files of a model into the cache folder, with a progress bar on standard error.

    A file appears under its name only when it is whole and its checksum is right.

    Args:
        manifest: Of the model.
        sources: Addresses instead of the manifest's own: first the model's files in order, then files that belong to
            them (external weights), which keep their names.

    Raises:
        ModelError: nobody publishes this model as ONNX; the message says how to get it.
        ModelLoadError: the network, the address, the disk or the checksum is at fault.
    """
    addresses = sources or manifest.artifact.urls
    if not addresses:
        command = command_to_get(manifest, cache_folder() / manifest.id)
        remedy = f'Get it with: {command}' if command else f'Get or export it ({manifest.artifact.source})'
        raise ModelError(
            f'{manifest.id} cannot be pulled: no public file fits its manifest. {remedy}, or give its address with '
            '--from'
        )
    names = [*manifest.files, *(_base_name(each) for each in addresses[len(manifest.files) :])]
    folder = cache_folder() / manifest.id
    return [
        _fetch(address, folder / name, manifest.artifact.sha256 if index == 0 else None)
        for index, (address, name) in enumerate(zip(addresses, names, strict=False))
    ]


def _base_name(address: str) -> str:
    return PurePosixPath(urlsplit(address).path).name


def _fetch(address: str, path: Path, expected: str | None) -> Pulled:
    part = path.with_name(path.name + '.part')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if address.startswith('hf://'):
            _from_hub(address, part)
        else:
            _from_web(address, part)
        found = sha256(part)
        if expected and found != expected:
            part.unlink()
            raise ModelLoadError(
                f'{address} has sha256 {found}; expected {expected}. It changed or was damaged on the way; nothing '
                'was kept'
            )
        part.replace(path)
        if not expected:
            record_sha256(path, found)
    except OSError as error:
        raise ModelLoadError(
            f'{path} cannot be written: {error.strerror or error}. Free space, or set DEPTH_ROS_CACHE to another folder'
        ) from error
    return Pulled(path, found, expected is not None)


def _from_web(address: str, part: Path) -> None:
    from tqdm import tqdm

    if urlsplit(address).scheme not in ('http', 'https'):
        raise ModelLoadError(f"'{address}' is no address; expected https://… or hf://owner/repository/path")
    try:
        with urllib.request.urlopen(address, timeout=_TIMEOUT_S) as answer:
            length = int(answer.headers.get('Content-Length') or 0)
            with part.open('wb') as file, tqdm(total=length or None, unit='B', unit_scale=True, desc=part.stem) as bar:
                while piece := answer.read(_PIECE):
                    file.write(piece)
                    bar.update(len(piece))
            if length and part.stat().st_size != length:
                raise urllib.error.URLError(f'ended after {part.stat().st_size} of {length} bytes')
    except urllib.error.HTTPError as error:
        error.close()
        raise ModelLoadError(f'{address} answers {error.code} {error.reason}. Is the address right?') from error
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, 'reason', error)
        raise ModelLoadError(_offline(address, reason)) from error


def _from_hub(address: str, part: Path) -> None:
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.utils import logging
    except ImportError as error:
        raise ModelLoadError(
            f'{address} is on the Hugging Face hub, which needs huggingface_hub: {install_command("hub")}'
        ) from error
    logging.set_verbosity_error()  # its retries; what they end in is ours to say
    owner, repository, *rest = address.removeprefix('hf://').split('/')
    scratch = part.parent / '.hub'
    try:
        fetched = hf_hub_download(f'{owner}/{repository}', '/'.join(rest), local_dir=scratch)
    except Exception as error:  # it passes on what its HTTP library raises, whose types change between versions
        raise ModelLoadError(_offline(address, str(error).splitlines()[0].rstrip('.'))) from error
    Path(fetched).replace(part)
    shutil.rmtree(scratch)


def _offline(address: str, reason: object) -> str:
    return (
        f'{address} cannot be fetched: {reason}. Without a network, fetch it elsewhere and put it where '
        'depth-ros models show says'
    )
