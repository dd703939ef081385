"""Exports of small random checkpoints agree with torch and with transformers' own post-processing."""

import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='exporting needs torch; ./scripts/test --all installs it')
transformers = pytest.importorskip(
    'transformers', reason='exporting needs transformers; ./scripts/test --all installs it'
)

from depth_ros.backends.onnx_runtime import OnnxRuntimeBackend, Options  # noqa: E402
from depth_ros.errors import ModelError, ModelLoadError, ModelMismatch  # noqa: E402
from depth_ros.estimators.network import MonoNetwork  # noqa: E402
from depth_ros.files.motorcycle import load_motorcycle  # noqa: E402
from depth_ros.models.canvas import plan  # noqa: E402
from depth_ros.models.catalog import find_manifest, model_file  # noqa: E402
from depth_ros.models.export import export  # noqa: E402
from depth_ros.models.prepare import prepare  # noqa: E402
from depth_ros.types import Camera, Frame  # noqa: E402

pytestmark = pytest.mark.filterwarnings('ignore')


def dinov2():
    return transformers.Dinov2Config(
        hidden_size=32, num_hidden_layers=4, num_attention_heads=2, image_size=56, patch_size=14,
        out_indices=[1, 2, 3, 4], reshape_hidden_states=False, apply_layernorm=True,
    )  # fmt: skip


def depth_anything(kind='relative'):
    config = transformers.DepthAnythingConfig(
        backbone_config=dinov2(), reassemble_hidden_size=32, neck_hidden_sizes=[8, 8, 16, 16], fusion_hidden_size=8,
        head_hidden_size=8, depth_estimation_type=kind, max_depth=20 if kind == 'metric' else 1,
    )  # fmt: skip
    return transformers.DepthAnythingForDepthEstimation(config)


def dpt():
    config = transformers.DPTConfig(
        hidden_size=32, num_hidden_layers=4, num_attention_heads=2, intermediate_size=64, image_size=384, patch_size=16,
        backbone_out_indices=[0, 1, 2, 3], neck_hidden_sizes=[8, 8, 16, 16], fusion_hidden_size=8, head_in_index=-1,
    )  # fmt: skip
    return transformers.DPTForDepthEstimation(config)


def zoedepth(heads):
    backbone = transformers.BeitConfig(
        image_size=384, num_hidden_layers=4, hidden_size=32, intermediate_size=64, num_attention_heads=2,
        use_relative_position_bias=True, out_features=['stage1', 'stage2', 'stage3', 'stage4'],
        reshape_hidden_states=False,
    )  # fmt: skip
    config = transformers.ZoeDepthConfig(
        backbone_config=backbone, neck_hidden_sizes=[16, 16, 32, 32], fusion_hidden_size=16, bottleneck_features=16,
        num_relative_features=16, bin_embedding_dim=16, num_attractors=[4, 2, 2, 1], patch_transformer_hidden_size=128,
        patch_transformer_intermediate_size=64, patch_transformer_num_attention_heads=2, num_patch_transformer_layers=4,
        bin_configurations=[
            {'n_bins': 16, 'min_depth': 1e-3, 'max_depth': m, 'name': n} for n, m in (('nyu', 10.0), ('kitti', 80.0))[:heads]
        ],
    )  # fmt: skip
    return transformers.ZoeDepthForDepthEstimation(config)


def depth_pro():
    vit = {
        'model_type': 'dinov2', 'hidden_size': 16, 'num_hidden_layers': 4, 'num_attention_heads': 2, 'image_size': 64,
        'patch_size': 16, 'use_mask_token': False,
    }  # fmt: skip
    config = transformers.DepthProConfig(
        fusion_hidden_size=8, patch_size=64, intermediate_hook_ids=[2, 1], intermediate_feature_dims=[8, 8],
        scaled_images_ratios=[0.25, 0.5, 1], scaled_images_overlap_ratios=[0.0, 0.5, 0.25],
        scaled_images_feature_dims=[16, 8, 8], num_fov_head_layers=2, use_fov_model=True,
        image_model_config=vit, patch_model_config=vit, fov_model_config=vit,
    )  # fmt: skip
    return transformers.DepthProForDepthEstimation(config)


def saved(tmp_path, network, seed=0):
    torch.manual_seed(seed)
    for parameter in network.parameters():  # larger than the usual start, so that outputs vary over the picture
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.15)
    last = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d) and m.out_channels == 1]
    if last:  # above zero, or ReLU would hide most of the picture
        torch.nn.init.constant_(last[-1].bias, 3.0)
    network.save_pretrained(tmp_path / 'checkpoint')
    return str(tmp_path / 'checkpoint')


def load(path):
    manifest, folder = find_manifest(str(path))
    return manifest, MonoNetwork(manifest, OnnxRuntimeBackend(model_file(manifest, folder), Options('cpu')))


CASES = {
    'depth-anything-v2-small': (lambda: depth_anything(), True),
    'depth-anything-v2-metric-indoor-small': (lambda: depth_anything('metric'), True),
    'dpt-large-384': (dpt, False),
    'zoedepth-n': (lambda: zoedepth(1), False),
}
SIZES = [(640, 480), (1280, 720), (333, 217)]


def picture(size):
    import cv2

    return cv2.resize(load_motorcycle().left, size, interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize('model_id', CASES)
def test_an_export_gives_what_torch_and_transformers_post_processing_give_at_the_picture_s_size(tmp_path, model_id):
    make, dynamic = CASES[model_id]
    weights = saved(tmp_path, make())
    manifest, _ = find_manifest(model_id)
    done = export(manifest, weights, tmp_path / 'out/net.onnx', dynamic=dynamic)
    assert done.difference <= 1e-3
    reference = transformers.AutoModelForDepthEstimation.from_pretrained(weights).eval()
    for size in SIZES:
        exported, network = load(done.manifest)
        image = picture(size)
        ours = network.estimate(Frame(image, Camera(*size, 500.0, 500.0, size[0] / 2, size[1] / 2)))
        canvas = plan(exported.preprocess, size, None if dynamic else done.sizes[0])
        tensor = prepare(exported, canvas, image, None, None)['pixel_values']
        with torch.no_grad():
            raw = reference(torch.from_numpy(tensor)).predicted_depth
        assert raw.shape[-2:] == (canvas.size[1], canvas.size[0])
        assert float(raw.std() / raw.abs().mean()) > 1e-3  # a constant map would prove nothing
        theirs = canvas.back(raw[0].numpy())
        difference = np.median(np.abs(ours.values - theirs) / np.maximum(np.abs(theirs), 1e-6))
        assert difference <= 1e-3, (size, difference)


def test_depth_pro_gives_metres_with_the_camera_s_focal_length_and_with_its_own(tmp_path):
    weights = saved(tmp_path, depth_pro())
    manifest, _ = find_manifest('depth-pro')
    done = export(manifest, weights, tmp_path / 'net.onnx', size=(256, 256))
    _, network = load(done.onnx)
    image, camera = picture((640, 480)), Camera(640, 480, 500.0, 500.0, 320.0, 240.0)
    reference = transformers.AutoModelForDepthEstimation.from_pretrained(weights).eval()
    exported, _ = load(done.onnx)
    canvas = plan(exported.preprocess, (640, 480))
    tensor = prepare(exported, canvas, image, None, None)['pixel_values']
    with torch.no_grad():
        found = reference(torch.from_numpy(tensor))
    inverse = canvas.back(found.predicted_depth[0].numpy())
    fov_rad = np.radians(float(found.field_of_view[0]))
    for cam, fx in ((camera, 500.0), (None, 0.5 * 640 / np.tan(fov_rad / 2))):
        expected = 1 / np.clip(inverse * 640 / fx, 1e-4, 1e4)
        ours = network.estimate(Frame(image, cam))
        assert ours.space == 'metric_depth'
        assert np.median(np.abs(ours.values / expected - 1)) < 1e-3


def test_a_dynamic_export_follows_its_input_where_transformers_freezes_it(tmp_path):
    manifest, _ = find_manifest('depth-anything-v2-small')
    done = export(manifest, saved(tmp_path, depth_anything()), tmp_path / 'net.onnx', dynamic=True)
    backend = OnnxRuntimeBackend(done.onnx, Options('cpu'))
    for height, width in ((70, 84), (518, 686), (56, 140)):
        found = backend.infer({'pixel_values': np.zeros((1, 3, height, width), np.float32)})['predicted_depth']
        assert found.shape == (1, height, width)
    assert len(done.sizes) == 2 and done.sizes[0] != done.sizes[1]


@pytest.mark.parametrize(('model_id', 'head'), [('zoedepth-nk-indoor', 0), ('zoedepth-nk-outdoor', 1)])
def test_the_head_of_zoedepth_nk_is_the_one_that_the_manifest_says(tmp_path, model_id, head):
    weights = saved(tmp_path, zoedepth(2))
    manifest, _ = find_manifest(model_id)
    done = export(manifest, weights, tmp_path / 'net.onnx')
    tensor = np.random.default_rng(0).normal(size=(1, 3, done.sizes[0][1], done.sizes[0][0])).astype(np.float32)
    found = OnnxRuntimeBackend(done.onnx, Options('cpu')).infer({'pixel_values': tensor})['predicted_depth']
    by_head = []
    for choice in (0, 1):  # transformers itself, with a router whose weights leave it no other way
        reference = transformers.AutoModelForDepthEstimation.from_pretrained(weights).eval()
        last = reference.metric_head.mlp_classifier.linear2
        with torch.no_grad():
            last.weight.zero_()
            last.bias.copy_(torch.eye(2)[choice] * 10)
            by_head.append(reference(torch.from_numpy(tensor)).predicted_depth.numpy())
    assert np.abs(by_head[0] - by_head[1]).max() > 0.1
    np.testing.assert_allclose(found, by_head[head], rtol=1e-3)


def test_the_manifest_beside_the_file_makes_it_usable_by_its_path(tmp_path):
    manifest, _ = find_manifest('dpt-large-384')
    done = export(manifest, saved(tmp_path, dpt()), tmp_path / 'net.onnx', size=(192, 192))
    described, network = load(done.onnx)
    assert described.artifact.sha256 and described.preprocess.resize.mode == 'stretch'
    assert network.estimate(Frame(picture((333, 217)), None)).values.shape == (217, 333)


@pytest.mark.parametrize(
    ('model_id', 'weights', 'options', 'error', 'words'),
    [
        ('metric3d-v2-small', 'x', {}, ModelError, "family 'metric3d' cannot be exported here; there are recipes for"),
        ('dpt-large-384', 'x', {'dynamic': True}, ModelError, 'cannot be exported for any size'),
        ('dpt-large-384', '/nowhere', {}, ModelLoadError, "'/nowhere' is no checkpoint"),
    ],
)
def test_what_cannot_be_exported_is_said(tmp_path, model_id, weights, options, error, words):
    manifest, _ = find_manifest(model_id)
    with pytest.raises(error, match=words):
        export(manifest, weights, tmp_path / 'net.onnx', **options)


def test_a_file_that_differs_from_torch_is_not_kept(tmp_path, monkeypatch):
    import depth_ros.models.export as module

    monkeypatch.setattr(module, '_relative', lambda a, b: 0.5)
    manifest, _ = find_manifest('dpt-large-384')
    with pytest.raises(ModelMismatch, match=r'differ by 0\.5'):
        export(manifest, saved(tmp_path, dpt()), tmp_path / 'net.onnx', size=(64, 64))
    assert not (tmp_path / 'net.onnx').exists()


def test_the_command_exports_and_says_how_to_use_the_file(tmp_path, capsys):
    from depth_ros.cli.main import main

    weights = saved(tmp_path, dpt())
    out = tmp_path / 'made/net.onnx'
    assert (
        main(['models', 'export', 'dpt-large-384', '--weights', weights, '--out', str(out), '--size', '192x192']) == 0
    )
    text = capsys.readouterr().out
    assert f'model: {out}' in text and 'agrees with torch' in text
    assert main(['models', 'check', str(out)]) == 0
    assert main(['models', 'export', 'dpt-large-384', '--weights', '/nowhere', '--out', str(out)]) == 1
    assert capsys.readouterr().err.count('\n') == 1
