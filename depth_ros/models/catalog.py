"""The manifests that are installed, and where their files are."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from depth_ros.errors import BadManifest, ModelLoadError
from depth_ros.files.share import shared_file
from depth_ros.models.manifest import Manifest, read_manifest


def cache_folder() -> Path:
    """Return the folder for downloaded and exported models: $DEPTH_ROS_CACHE, or the user's cache directory."""
    own = os.environ.get('DEPTH_ROS_CACHE')
    base = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(own) if own else Path(base) / 'depth_ros'


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
    ships = manifest.single_file is not None and (path.parent / manifest.single_file).is_file()
    return path.parent if ships else cache_folder() / manifest.id


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
        near = ', '.join(name for name in known if name.startswith(model[:5])) or ', '.join(known)
        raise BadManifest(f"model '{model}' is not known; there are {near}. Or give the path of a manifest")
    manifest = read_manifest(known[model])
    return manifest, _folder(manifest, known[model])


def model_file(manifest: Manifest, folder: Path) -> Path:
    """Return the ONNX file of a model whose sha256, where the manifest has one, is right.

    Raises:
        ModelLoadError: it is not there, is not a single graph, or is not the file that was meant.
    """
    if manifest.single_file is None:
        raise ModelLoadError(
            f"{manifest.id} is a '{manifest.pipeline}' pipeline of {manifest.artifact.onnx or 'no public file'}; "
            'only models of one graph can be run so far'
        )
    path = folder / manifest.single_file
    if not path.is_file():
        raise ModelLoadError(
            f'{path} does not exist. Get or export it ({manifest.artifact.source}) and put it there, or copy the '
            'manifest beside your file and give its path'
        )
    expected = manifest.artifact.sha256 or _recorded_sha256(path)
    if expected and (found := sha256(path)) != expected:
        raise ModelLoadError(f'{path} has sha256 {found}; expected {expected}. It is damaged or another file')
    return path


def record_sha256(path: Path, digest: str) -> None:
    """Remember the checksum of a file whose manifest has none, as ``sha256sum`` writes it."""
    _sidecar(path).write_text(f'{digest}  {path.name}\n', encoding='utf-8')


def _recorded_sha256(path: Path) -> str | None:
    sidecar = _sidecar(path)
    return sidecar.read_text(encoding='utf-8').partition(' ')[0] if sidecar.is_file() else None


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + '.sha256')


def sha256(path: Path) -> str:
    """Return the checksum of a file, read piece by piece."""
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
