"""Download of a model's files from the Hugging Face hub (``hf://owner/repository/path``) or an https address.

The file may also be a member of a tar archive at such an address (``https://…/resources.tar.gz#folder/model.onnx``), or
a file that is already on this machine.
"""

import shutil
import tarfile
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

_CHUNK_BYTES = 1 << 20
_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class PulledFile:
    """One downloaded file."""

    path: Path
    sha256: str
    declared: bool
    """Whether the manifest declares the checksum; otherwise it was recorded, and is compared at every later load."""


def pull(manifest: Manifest, sources: tuple[str, ...] = ()) -> list[PulledFile]:
    """Download the files of a model into the cache folder, with a progress bar on standard error.

    A file gets its name only when it is complete and its checksum is correct.

    Args:
        manifest: Manifest of the model.
        sources: Addresses or paths of local files to use instead of the manifest's addresses: first the model's files
            in order, then files that belong to them (external weights), which keep their names.

    Raises:
        ModelError: no file of this model is published; the message states how to get it.
        ModelLoadError: the connection failed, the address is invalid, the disk cannot be written, or the checksum
            differs.
    """
    addresses = sources or manifest.artifact.urls
    if not addresses:
        command = command_to_get(manifest, cache_folder() / manifest.id)
        remedy = f'Get it with: {command}' if command else f'Get or export it ({manifest.artifact.source})'
        raise ModelError(
            f'{manifest.id} cannot be pulled: no published file matches its manifest. {remedy}, or give the '
            'address or the path of a file with --from'
        )
    names = [*manifest.files, *(_base_name(each) for each in addresses[len(manifest.files) :])]
    folder = cache_folder() / manifest.id
    return [
        _download(address, folder / name, manifest.artifact.sha256 if index == 0 else None)
        for index, (address, name) in enumerate(zip(addresses, names, strict=False))
    ]


def _base_name(address: str) -> str:
    return PurePosixPath(urlsplit(address).path).name


def _download(address: str, path: Path, expected: str | None) -> PulledFile:
    part = path.with_name(path.name + '.part')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        location, _, member = address.partition('#')
        if location.startswith('hf://'):
            _from_hub(location, part)
        elif Path(address).expanduser().is_file():
            shutil.copyfile(Path(address).expanduser(), part)
            member = ''
        else:
            _from_web(location, part)
        if member:
            _extract(part, member)
        actual = sha256(part)
        if expected and actual != expected:
            part.unlink()
            raise ModelLoadError(
                f'{address} has sha256 {actual}; expected {expected}. The file has changed or was damaged in '
                'transfer; it was deleted. Try again, or give another address with --from'
            )
        part.replace(path)
        if not expected:
            record_sha256(path, actual)
    except OSError as error:
        raise ModelLoadError(
            f'{path} cannot be written: {error.strerror or error}. Free space, or set DEPTH_ROS_CACHE to another folder'
        ) from error
    return PulledFile(path, actual, expected is not None)


def _from_web(address: str, part: Path) -> None:
    from tqdm import tqdm

    if urlsplit(address).scheme not in ('http', 'https'):
        raise ModelLoadError(
            f"'{address}' is neither a file nor an address; expected a path, https://… or hf://owner/repository/path"
        )
    try:
        with urllib.request.urlopen(address, timeout=_TIMEOUT_S) as response:
            length = int(response.headers.get('Content-Length') or 0)
            with part.open('wb') as file, tqdm(total=length or None, unit='B', unit_scale=True, desc=part.stem) as bar:
                while chunk := response.read(_CHUNK_BYTES):
                    file.write(chunk)
                    bar.update(len(chunk))
            if length and part.stat().st_size != length:
                raise urllib.error.URLError(f'the transfer ended after {part.stat().st_size} of {length} bytes')
    except urllib.error.HTTPError as error:
        error.close()
        raise ModelLoadError(f'{address} returned {error.code} {error.reason}. Check the address') from error
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, 'reason', error)
        raise ModelLoadError(_unreachable(address, reason)) from error


def _from_hub(address: str, part: Path) -> None:
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.utils import logging
    except ImportError as error:
        raise ModelLoadError(
            f'{address} is on the Hugging Face hub, which needs huggingface_hub: {install_command("hub")}'
        ) from error
    logging.set_verbosity_error()  # hide its retries; the final error is reported below
    owner, repository, *rest = address.removeprefix('hf://').split('/')
    scratch = part.parent / '.hub'
    try:
        downloaded = hf_hub_download(f'{owner}/{repository}', '/'.join(rest), local_dir=scratch)
    except Exception as error:  # errors of its HTTP library, whose types change between versions
        raise ModelLoadError(_unreachable(address, str(error).splitlines()[0].rstrip('.'))) from error
    Path(downloaded).replace(part)
    shutil.rmtree(scratch)


def _extract(archive: Path, member: str) -> None:
    """Replace an archive by one of its members.

    Raises:
        ModelLoadError: the file is not a tar archive, or has no such member.
    """
    extracted = archive.with_name(archive.name + '.member')
    try:
        with tarfile.open(archive) as tar:
            source = tar.extractfile(member)
            if source is None:
                raise KeyError(f'{member} is a folder')
            with source, extracted.open('wb') as file:
                shutil.copyfileobj(source, file, _CHUNK_BYTES)
    except (tarfile.TarError, KeyError, EOFError) as error:
        archive.unlink()
        raise ModelLoadError(
            f'the archive does not contain the file {member}: {error}. The archive has changed or was damaged in '
            'transfer; it was deleted. Try again, or give another address with --from'
        ) from error
    extracted.replace(archive)


def _unreachable(address: str, reason: object) -> str:
    return (
        f'{address} cannot be downloaded: {reason}. Without a connection, download it on another machine and give the '
        'path of the file with --from'
    )
