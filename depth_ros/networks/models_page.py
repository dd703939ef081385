"""The manifests as a page: ``python -m depth_ros.networks.models_page > docs/models.md``."""

from depth_ros.networks.catalog import shipped_models
from depth_ros.networks.manifest import Manifest

_HEADER = """# Models

Made from `config/models/*.yaml` by `python -m depth_ros.networks.models_page > docs/models.md`. Licences are a reading
of licence files, not legal advice; "check" means that the weights carry no licence of their own. `commercial_only:
true` refuses all but "yes".

A model is a manifest and an ONNX file. No weights come with this package. `depth-ros models show <id>` says where a
file comes from and where to put it, `depth-ros models pull <id>` fetches it where one is published (listed below;
the addresses could not be tried here); `depth-ros models check FILE --manifest <id>` tells whether it is what the
manifest says. Then: `ros2 launch depth_ros mono.launch.py model:=<id>`, `stereo_depth` with `model: <id>`, or
`depth-ros infer --model <id> --image FILE --out DIR`.

"metric" models give metres where their needs are met: fx and K come from `camera_info`, the baseline from the right
one. Others need a scale (and shift), which `scale.source` finds ([metres.md](metres.md)); without it they are published
on `depth/relative` only.

Every manifest below is tested: a network that sees a known scene, and writes what the manifest says it would, gives
the scene back through the manifest's resize, padding, layout and decoder. No public weights could be run for these
tests, so accuracy is the publishers' business; a file that is not as described is refused when it is loaded.
"""


_FIGURES = """
## What others measured

Not repeated here, except for `sim-indoor`; no public weights could be run. Models that are missing below publish
nothing that could be traced to its source.
"""


def page() -> str:
    """Return the page."""
    manifests = [manifest for manifest, _ in shipped_models()]
    parts = [_HEADER]
    for task, title in (('mono', 'From one image (`mono_depth`)'), ('stereo', 'From a pair (`stereo_depth`)')):
        rows = '\n'.join(_row(m) for m in manifests if m.task == task)
        parts.append(
            f'\n## {title}\n\n| id | gives | needs | input | code / weights | commercial use | where from |\n'
            f'|---|---|---|---|---|---|---|\n{rows}\n'
        )
    figures = '\n'.join(f'| `{m.id}` | {m.published} |' for m in manifests if m.published)
    parts.append(f'{_FIGURES}\n| id | accuracy and speed, and who says so |\n|---|---|\n{figures}\n')
    return ''.join(parts)


def _row(manifest: Manifest) -> str:
    gives = manifest.decode.kind.replace('_', ' ')
    if manifest.metric_by_itself:
        gives = f'**metric** ({gives})'
    if manifest.simulator_only:
        gives += ', on images of the simulator only'
    blocked = '' if manifest.runnable else ' **not runnable yet**'
    pulled = f'`depth-ros models pull {manifest.id}`, or ' if manifest.artifact.urls else ''
    licence = f'{manifest.license.code} / {manifest.license.weights}'
    return (
        f'| `{manifest.id}` | {gives} | {", ".join(manifest.needs) or "-"} | {_size(manifest)} | {licence} '
        f'| {manifest.commercial_use} | {pulled}{manifest.artifact.source}{blocked} |'
    )


def _size(manifest: Manifest) -> str:
    rule = manifest.preprocess.resize
    size = 'any' if rule.mode in ('none', 'floor') else f'{rule.width or "…"}x{rule.height or "…"}'
    return size if rule.mode in ('none', 'floor', 'stretch') else f'{size}, {rule.mode.replace("_", " ")}'


if __name__ == '__main__':
    print(page(), end='')
