"""Reading of manifests (``manifest``), with checks.

A manifest is untrusted: a safe loader reads it, every key and type is checked, and paths must stay in its folder.
"""

from pathlib import Path, PurePosixPath

import yaml

from depth_ros.errors import BadManifest
from depth_ros.networks.manifest import Manifest, Resize
from depth_ros.settings.schema import build

_LOADER = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)
"""The safe loader in C, about ten times as fast; a PyYAML that was built without libyaml does not have it."""


def read_manifest(path: Path) -> Manifest:
    """Read and check a manifest.

    Raises:
        BadManifest: the file is not YAML, or a key is unknown, missing, of the wrong type, or contradicts another; the
            message names the file and the key, what was found and what is expected.
    """
    try:
        content = yaml.load(path.read_text(encoding='utf-8'), _LOADER)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadManifest(f'{path} cannot be read as YAML: {error}') from error
    manifest: Manifest = build(Manifest, content, f'{path}')
    problems = _contradictions(manifest)
    if problems:
        raise BadManifest(f'{path}: ' + '; '.join(problems))
    return manifest


_ROLES: dict[str, set[str]] = {'mono': {'image'}, 'stereo': {'left', 'right', 'pair'}}
_REQUIRED_NEEDS: dict[str, set[str]] = {
    'disparity': {'fx', 'baseline'},
    'canonical_depth': {'fx'},
    'canonical_inverse_depth': {'fx'},
    'affine_depth': {'scale_shift'},
    'scale_invariant_depth': {'scale'},
    'affine_point_map': {'K'},
}


def _contradictions(manifest: Manifest) -> list[str]:
    """Return a message for each contradiction between keys."""
    decode, resize, roles = manifest.decode, manifest.preprocess.resize, {i.role for i in manifest.inputs}
    problems = []
    if (decode.kind == 'disparity') != (manifest.task == 'stereo'):
        problems.append(f"task '{manifest.task}' contradicts decode.kind '{decode.kind}'")
    if not roles & _ROLES[manifest.task]:
        problems.append(f"task '{manifest.task}' needs an input with role {' or '.join(sorted(_ROLES[manifest.task]))}")
    expected = 'points' if 'point_map' in decode.kind else 'raw'
    if sum(output.role == expected for output in manifest.outputs) != 1:
        problems.append(f"decode.kind '{decode.kind}' needs exactly one output with role '{expected}'")
    required = _REQUIRED_NEEDS.get(decode.kind, set())
    scale_is_fixed = decode.scale is not None and decode.shift is not None
    if decode.kind == 'affine_inverse_depth' and not scale_is_fixed:
        required = {'scale_shift'}
    if decode.up_to_scale:
        required = {'scale'}
    if not required <= set(manifest.needs):
        problems.append(f"decode.kind '{decode.kind}' needs {', '.join(sorted(required))}; needs is {manifest.needs}")
    if decode.kind == 'canonical_depth' and not decode.canonical_focal:
        problems.append('decode.canonical_focal is missing')
    if decode.kind == 'sigmoid_disparity' and not (decode.min_depth and decode.max_depth):
        problems.append('decode.min_depth and decode.max_depth are missing')
    problems += _size_problems(resize)
    if any(each.role == 'prompt_depth' and not (each.size and min(each.size) > 0) for each in manifest.inputs):
        problems.append("an input with role 'prompt_depth' needs its size, as [width, height]")
    if 'prompt_depth' in roles and (manifest.preprocess.pad or manifest.preprocess.reflect_before):
        problems.append(
            "an input with role 'prompt_depth' covers the whole image; expected a preprocess without padding"
        )
    mean, std = manifest.preprocess.normalize.mean, manifest.preprocess.normalize.std
    if len(mean) != len(std) or len(mean) not in (1, 3) or 0 in std:
        problems.append('preprocess.normalize: mean and std must have one or three numbers each, std without 0')
    for name in (*manifest.files, *([manifest.artifact.reference] if manifest.artifact.reference else [])):
        if PurePosixPath(name).is_absolute() or '..' in PurePosixPath(name).parts or '\\' in name:
            problems.append(f"artifact: '{name}' leaves the model's folder")
    for address in manifest.artifact.urls:
        if not address.startswith(('https://', 'hf://')):
            problems.append(f"artifact.urls '{address}' is neither https:// nor hf://")
    expected_files = 1 if manifest.bridge is None else 2
    if manifest.files and len(manifest.files) != expected_files:
        problems.append(f'artifact.file names {len(manifest.files)} files; expected one, or two files with a bridge')
    if not all(c.isalnum() or c in '-_.' for c in manifest.id) or not manifest.id:
        problems.append(f"id '{manifest.id}' must consist of letters, digits, '-', '_' and '.'")
    return problems


def _size_problems(resize: Resize) -> list[str]:
    required = {
        'none': (), 'floor': (), 'longest': ('width',), 'width': ('width',), 'pixel_budget': ('pixels',)
    }.get(resize.mode, ('width', 'height'))  # fmt: skip
    missing = [name for name in required if not getattr(resize, name)]
    return [f"preprocess.resize.{name} is missing for mode '{resize.mode}'" for name in missing]
