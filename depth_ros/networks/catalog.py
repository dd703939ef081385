"""The installed manifests and the locations of their files."""

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
from depth_ros.networks.manifest import Manifest
from depth_ros.networks.manifest_reader import read_manifest
from depth_ros.networks.runtimes.file_format import MODEL_SUFFIXES

_MIN_SIMILARITY = 0.6
"""Least similarity of names (difflib) for a suggestion."""


def shipped_manifests() -> Iterator[Path]:
    """Yield the paths of the manifests of the package, sorted by name."""
    folder = shared_file('config/models/depth-pro.yaml').parent
    return iter(sorted(folder.glob('*.yaml')))


def shipped_models() -> Iterator[tuple[Manifest, Path]]:
    """Yield the manifests of the package, each with the folder of its files."""
    for path in shipped_manifests():
        manifest = read_manifest(path)
        yield manifest, _folder(manifest, path)


def local_manifests() -> Iterator[Path]:
    """Yield the paths of the manifests in the cache, ``<id>/<id>.yaml``, which ``models quantize`` writes."""
    return (path for path in sorted(cache_folder().glob('*/*.yaml')) if path.stem == path.parent.name)


def installed_models() -> Iterator[tuple[Manifest, Path]]:
    """Yield the manifests of the package and those in the cache that can be read, with the folders of their files."""
    known = set()
    for manifest, folder in shipped_models():
        known.add(manifest.id)
        yield manifest, folder
    for path in local_manifests():
        if path.stem in known:
            continue
        try:
            yield read_manifest(path), path.parent
        except BadManifest:  # reported when the model is used
            continue


def _folder(manifest: Manifest, path: Path) -> Path:
    """Return the folder of a shipped manifest's files: beside the manifest if they ship too, otherwise in the cache."""
    return path.parent if has_all_files(manifest, path.parent) else cache_folder() / manifest.id


def has_all_files(manifest: Manifest, folder: Path) -> bool:
    """Return whether a folder contains all files of a model."""
    return bool(manifest.files) and all((folder / name).is_file() for name in manifest.files)


def available_models(task: Literal['mono', 'stereo']) -> str:
    """Return a text that lists the models for a task on this machine, and those that can be downloaded."""
    models = [(manifest, folder) for manifest, folder in installed_models() if manifest.task == task]
    installed = [
        f'{manifest.id} (simulator only)' if manifest.simulator_only else manifest.id
        for manifest, folder in models
        if has_all_files(manifest, folder)
    ]
    downloadable = [manifest.id for manifest, _ in models if manifest.artifact.urls and manifest.metric_by_itself]
    return (
        f'Available on this machine: {", ".join(installed) or "none"}. Metric models that depth-ros models pull ID '
        f'downloads: {", ".join(downloadable) or "none"}; depth-ros models list prints all models'
    )


def find_manifest(model: str) -> tuple[Manifest, Path]:
    """Return the manifest for an id or a path to a YAML or model file, and the folder of its files.

    The manifest of a model file is the YAML file beside it with the same name.

    Raises:
        BadManifest: there is no manifest, or it is invalid.
    """
    path = Path(model).expanduser()
    if path.suffix in ('.yaml', '.yml', *MODEL_SUFFIXES):
        description = path.with_suffix('.yaml') if path.suffix in MODEL_SUFFIXES else path
        if not description.is_file():
            raise BadManifest(
                f'{model} has no manifest: {description} does not exist. Write one (CONTRIBUTING.md, "add a model"), '
                'or copy the manifest of a model of the same kind from config/models'
            )
        return read_manifest(description), description.parent
    known = {each.stem: each for each in (*local_manifests(), *shipped_manifests())}
    if model not in known:
        similar = difflib.get_close_matches(model, known, n=1, cutoff=_MIN_SIMILARITY)
        suggestion = f"did you mean '{similar[0]}'? " if similar else ''
        raise BadManifest(
            f"unknown model '{model}'; {suggestion}depth-ros models list prints all ids. The name of a file must end "
            f'in .yaml, {", ".join(MODEL_SUFFIXES[:-1])} or {MODEL_SUFFIXES[-1]}'
        )
    manifest = read_manifest(known[model])
    return manifest, _folder(manifest, known[model])


def command_to_get(manifest: Manifest, folder: Path) -> str:
    """Return the command that downloads or exports a shipped manifest's file; empty if there is none."""
    if folder != cache_folder() / manifest.id:
        return ''
    if manifest.artifact.urls:
        return f'depth-ros models pull {manifest.id}'
    if manifest.artifact.checkpoint:
        target = shlex.quote(str(folder / manifest.files[0]))
        return f'depth-ros models export {manifest.id} --weights {manifest.artifact.checkpoint} --out {target}'
    return ''


def way_to_get(manifest: Manifest, folder: Path) -> str:
    """Return how a file is obtained: included, local (written on this machine), pull, export, by hand, or none."""
    if command := command_to_get(manifest, folder):
        return command.split()[2]
    if folder != cache_folder() / manifest.id:
        return 'included'
    if (folder / f'{manifest.id}.yaml').is_file():
        return 'local'
    return 'by hand' if manifest.files else 'none'


def check_files(manifest: Manifest, folder: Path) -> None:
    """Check that the files of a model exist, without reading them.

    Raises:
        ModelLoadError: a file does not exist, or no public file exists.
    """
    if not manifest.files:
        raise ModelLoadError(
            f'{manifest.id} cannot be run: no file is published ({manifest.artifact.source}). Choose another '
            'model (depth-ros models list)'
        )
    for path in (folder / name for name in manifest.files):
        if path.is_file():
            continue
        if command := command_to_get(manifest, folder):
            raise ModelLoadError(f'{path} does not exist. Get it with: {command}')
        raise ModelLoadError(
            f'{path} does not exist. Get or export it ({manifest.artifact.source}) and put it there, or copy the '
            'manifest beside your file and set model to its path'
        )


def check_available(model: str, task: str, on_server: bool = False) -> None:
    """Check that a model exists, has its files and is for a task (mono or stereo), without loading it.

    Args:
        model: Id, or path of a manifest or model file.
        task: Task of the node, mono or stereo.
        on_server: Whether an inference server has the files.

    Raises:
        ModelError: the model or a file does not exist, or the model is for another task.
    """
    manifest, folder = find_manifest(model)
    if manifest.task != task:
        raise ModelMismatch(
            f'{manifest.id} is a {manifest.task} network; expected a {task} network. Use it with {manifest.task}_depth'
        )
    if not on_server:
        check_files(manifest, folder)


def model_file(manifest: Manifest, folder: Path) -> Path:
    """Return the file of a model after a check of its sha256, if that is known; two files are joined into one.

    Raises:
        ModelLoadError: the file is missing, no public file exists, or the sha256 differs.
        ModelMismatch: the two files do not match.
    """
    check_files(manifest, folder)
    paths = [folder / name for name in manifest.files]
    declared = (manifest.artifact.sha256, *([None] * len(paths)))
    digests = [_checked_sha256(path, expected, manifest) for path, expected in zip(paths, declared, strict=False)]
    if manifest.bridge is None:
        return paths[0]
    key = hashlib.sha256(f'{__version__} {digests} {manifest.bridge}'.encode()).hexdigest()[:24]
    joined = cache_folder() / 'joined' / f'{manifest.id}-{key}.onnx'
    if not joined.is_file():
        write_joined(paths[0], paths[1], manifest.bridge, joined)
    return joined


def _checked_sha256(path: Path, declared: str | None, manifest: Manifest) -> str:
    """Return the sha256 of a file, compared with the known one; empty if it is neither known nor needed for joining."""
    expected = declared or _recorded_sha256(path)
    actual = sha256(path) if expected or manifest.bridge else ''
    if expected and actual != expected:
        raise ModelLoadError(
            f'{path} has sha256 {actual}; expected {expected}. It is damaged or another file: get it again'
        )
    return actual


def record_sha256(path: Path, digest: str) -> None:
    """Record the sha256 of a file whose manifest has none, in the format of ``sha256sum``."""
    _sidecar(path).write_text(f'{digest}  {path.name}\n', encoding='utf-8')


def _recorded_sha256(path: Path) -> str | None:
    sidecar = _sidecar(path)
    return sidecar.read_text(encoding='utf-8').partition(' ')[0] if sidecar.is_file() else None


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + '.sha256')
