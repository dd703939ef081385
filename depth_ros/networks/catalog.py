"""The manifests that are installed, and where their files are."""

import difflib
import hashlib
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from depth_ros import __version__
from depth_ros.errors import BadManifest, ModelLoadError, ModelMismatch
from depth_ros.files.installed_files import shared_file
from depth_ros.files.model_cache import cache_folder, sha256
from depth_ros.networks.join_graphs import write_joined
from depth_ros.networks.manifest import Manifest, read_manifest

_ALIKE = 0.6
"""Similarity of names (difflib) from which one is suggested for the other."""


def shipped_manifests() -> Iterator[Path]:
    """Yield the manifests of the package, by name."""
    folder = shared_file('config/models/depth-pro.yaml').parent
    return iter(sorted(folder.glob('*.yaml')))


def shipped_models() -> Iterator[tuple[Manifest, Path]]:
    """Yield the manifests of the package with the folders of their files."""
    for path in shipped_manifests():
        manifest = read_manifest(path)
        yield manifest, _folder(manifest, path)


def _folder(manifest: Manifest, path: Path) -> Path:
    """Return where a shipped manifest's file is or belongs: beside it if it ships too, else in the cache."""
    return path.parent if is_here(manifest, path.parent) else cache_folder() / manifest.id


def is_here(manifest: Manifest, folder: Path) -> bool:
    """Tell whether all files of a model are in a folder."""
    return bool(manifest.files) and all((folder / name).is_file() for name in manifest.files)


def available_models(task: Literal['mono', 'stereo']) -> str:
    """Say which models for a task are on this machine, and how to get another one."""
    models = [(manifest, folder) for manifest, folder in shipped_models() if manifest.task == task]
    here = [
        f'{manifest.id} (simulator only)' if manifest.simulator_only else manifest.id
        for manifest, folder in models
        if is_here(manifest, folder)
    ]
    pulled = [manifest.id for manifest, _ in models if manifest.artifact.urls and manifest.metric_by_itself]
    return (
        f'Available on this machine: {", ".join(here) or "none"}. Metric models that depth-ros models pull ID '
        f'downloads: {", ".join(pulled) or "none"}; depth-ros models list shows all'
    )


def find_manifest(model: str) -> tuple[Manifest, Path]:
    """Return the manifest that an id or a path to a YAML or ONNX file names, and the folder of its file.

    An ONNX file is described by the manifest beside it of the same name.

    Raises:
        BadManifest: there is none, or it is not valid.
    """
    path = Path(model).expanduser()
    if path.suffix in ('.yaml', '.yml', '.onnx'):
        description = path.with_suffix('.yaml') if path.suffix == '.onnx' else path
        if not description.is_file():
            raise BadManifest(
                f'{model} has no manifest: {description} does not exist. Write one (CONTRIBUTING.md, "add a model"), '
                'or copy the one of a model of the same kind from config/models'
            )
        return read_manifest(description), description.parent
    known = {each.stem: each for each in shipped_manifests()}
    if model not in known:
        near = difflib.get_close_matches(model, known, n=1, cutoff=_ALIKE)
        meant = f"did you mean '{near[0]}'? " if near else ''
        raise BadManifest(
            f"model '{model}' is not known; {meant}depth-ros models list shows all ids. The name of a file ends in "
            '.yaml or .onnx'
        )
    manifest = read_manifest(known[model])
    return manifest, _folder(manifest, known[model])


def command_to_get(manifest: Manifest, folder: Path) -> str:
    """Return the command that fetches or makes a shipped manifest's file; empty if there is none."""
    if folder != cache_folder() / manifest.id:
        return ''
    if manifest.artifact.urls:
        return f'depth-ros models pull {manifest.id}'
    if manifest.artifact.checkpoint:
        target = shlex.quote(str(folder / manifest.files[0]))
        return f'depth-ros models export {manifest.id} --weights {manifest.artifact.checkpoint} --out {target}'
    return ''


def check_files(manifest: Manifest, folder: Path) -> None:
    """Check that the files of a model exist, without reading them.

    Raises:
        ModelLoadError: one does not, or no public file exists.
    """
    if not manifest.files:
        raise ModelLoadError(f'{manifest.id} cannot be run: nobody publishes it as ONNX ({manifest.artifact.source})')
    for path in (folder / name for name in manifest.files):
        if path.is_file():
            continue
        if command := command_to_get(manifest, folder):
            raise ModelLoadError(f'{path} does not exist. Get it with: {command}')
        raise ModelLoadError(
            f'{path} does not exist. Get or export it ({manifest.artifact.source}) and put it there, or copy the '
            'manifest beside your file and give its path'
        )


def check_available(model: str, task: str) -> None:
    """Check that a model exists, has its files and is for a task (mono or stereo), without loading it.

    Raises:
        ModelError: it does not, or is for another task.
    """
    manifest, folder = find_manifest(model)
    if manifest.task != task:
        raise ModelMismatch(f'{manifest.id} is a {manifest.task} network; expected a {task} network')
    check_files(manifest, folder)


def model_file(manifest: Manifest, folder: Path) -> Path:
    """Return the ONNX file of a model whose sha256, where it is known, is right; two files are joined into one.

    Raises:
        ModelLoadError: it is not there, no public file exists, or it is not the file that was meant.
        ModelMismatch: two files do not fit together.
    """
    check_files(manifest, folder)
    paths = [folder / name for name in manifest.files]
    declared = (manifest.artifact.sha256, *([None] * len(paths)))
    digests = [_checked(path, expected, manifest) for path, expected in zip(paths, declared, strict=False)]
    if manifest.bridge is None:
        return paths[0]
    both = hashlib.sha256(f'{__version__} {digests} {manifest.bridge}'.encode()).hexdigest()[:24]
    joined = cache_folder() / 'joined' / f'{manifest.id}-{both}.onnx'
    if not joined.is_file():
        write_joined(paths[0], paths[1], manifest.bridge, joined)
    return joined


def _checked(path: Path, declared: str | None, manifest: Manifest) -> str:
    """Return a file's checksum if it is known, after comparing it, or if it is needed to name the joined file."""
    expected = declared or _recorded_sha256(path)
    found = sha256(path) if expected or manifest.bridge else ''
    if expected and found != expected:
        raise ModelLoadError(f'{path} has sha256 {found}; expected {expected}. It is damaged or another file')
    return found


def record_sha256(path: Path, digest: str) -> None:
    """Remember the checksum of a file whose manifest has none, as ``sha256sum`` writes it."""
    _sidecar(path).write_text(f'{digest}  {path.name}\n', encoding='utf-8')


def _recorded_sha256(path: Path) -> str | None:
    sidecar = _sidecar(path)
    return sidecar.read_text(encoding='utf-8').partition(' ')[0] if sidecar.is_file() else None


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + '.sha256')
