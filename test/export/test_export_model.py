"""Exports of small random checkpoints agree with torch and with transformers' own processing of the same image."""

from dataclasses import replace

import numpy as np
import onnx
import pytest

torch = pytest.importorskip('torch', reason='exporting needs torch; ./scripts/test --all installs it')
transformers = pytest.importorskip(
    'transformers', reason='exporting needs transformers; ./scripts/test --all installs it'
)

from depth_ros.errors import ModelError, ModelLoadError, ModelMismatch  # noqa: E402
from depth_ros.evaluation.motorcycle_pair import load_motorcycle  # noqa: E402
from depth_ros.export.export_model import export  # noqa: E402
from depth_ros.networks.catalog import find_manifest, model_file  # noqa: E402
from depth_ros.networks.input_placement import plan  # noqa: E402
from depth_ros.networks.network_estimator import MonoNetwork  # noqa: E402
from depth_ros.networks.preprocess import prepare  # noqa: E402
from depth_ros.networks.runtimes.onnx_runtime import OnnxRuntime, RuntimeOptions  # noqa: E402
from depth_ros.pipeline import mono_estimator  # noqa: E402
from depth_ros.settings.node_settings import MonoSettings  # noqa: E402
from depth_ros.types import Camera, Frame  # noqa: E402

pytestmark = [pytest.mark.filterwarnings('ignore'), pytest.mark.slow]


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


def prompt_depth_anything():
    config = transformers.PromptDepthAnythingConfig(
        backbone_config=dinov2(), reassemble_hidden_size=32, neck_hidden_sizes=[8, 8, 16, 16], fusion_hidden_size=8,
        head_hidden_size=8,
    )  # fmt: skip
    return transformers.PromptDepthAnythingForDepthEstimation(config)


def dpt():
    config = transformers.DPTConfig(
        hidden_size=32, num_hidden_layers=4, num_attention_heads=2, intermediate_size=64, image_size=384, patch_size=16,
        backbone_out_indices=[0, 1, 2, 3], neck_hidden_sizes=[8, 8, 16, 16], fusion_hidden_size=8, head_in_index=-1,
    )  # fmt: skip
    return transformers.DPTForDepthEstimation(config)


def dpt_hybrid():
    config = transformers.DPTConfig(
        is_hybrid=True, hidden_size=32, num_hidden_layers=4, num_attention_heads=2, intermediate_size=64, image_size=384,
        patch_size=16, backbone_out_indices=[0, 1, 2, 3], neck_hidden_sizes=[8, 16, 16, 16], fusion_hidden_size=8,
        head_in_index=-1, neck_ignore_stages=[0, 1], backbone_featmap_shape=[1, 32, 24, 24],
        backbone_config={
            'model_type': 'bit', 'global_padding': 'same', 'layer_type': 'bottleneck', 'depths': [1, 1, 1],
            'hidden_sizes': [8, 16, 32, 64], 'embedding_size': 8, 'out_features': ['stage1', 'stage2', 'stage3'],
            'embedding_dynamic_padding': True, 'num_groups': 2,
        },
    )  # fmt: skip
    return transformers.DPTForDepthEstimation(config)


def swin2():
    backbone = transformers.Swinv2Config(
        image_size=256, embed_dim=16, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=8,
        out_features=['stage1', 'stage2', 'stage3', 'stage4'],
    )  # fmt: skip
    config = transformers.DPTConfig(
        backbone_config=backbone, neck_hidden_sizes=[16, 32, 64, 128], fusion_hidden_size=16, head_in_index=-1,
        reassemble_factors=[4, 2, 1, 0.5], use_bias_in_fusion_residual=False,
    )  # fmt: skip
    return transformers.DPTForDepthEstimation(config)


def glpn():
    config = transformers.GLPNConfig(
        num_encoder_blocks=4, depths=[1, 1, 1, 1], hidden_sizes=[8, 16, 24, 32], num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=16, max_depth=10,
    )  # fmt: skip
    return transformers.GLPNForDepthEstimation(config)


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


def saved(tmp_path, network, std=0.15):
    torch.manual_seed(0)
    for parameter in network.parameters():  # larger than the usual start, so that outputs vary over the image
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=std)
    last = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d) and m.out_channels == 1]
    if last:  # above zero, or ReLU would hide most of the image
        torch.nn.init.constant_(last[-1].bias, 3.0)
    network.save_pretrained(tmp_path / 'checkpoint')
    return str(tmp_path / 'checkpoint')


def load(path):
    manifest, folder = find_manifest(str(path))
    return manifest, MonoNetwork(manifest, OnnxRuntime(model_file(manifest, folder), RuntimeOptions('cpu')))


SIZES = [(640, 480), (960, 540), (333, 217)]
BICUBIC, BILINEAR = 3, 2


def motorcycle_image(size):
    import cv2

    return cv2.resize(load_motorcycle().left, size, interpolation=cv2.INTER_AREA)


def smooth_image(size):
    """Return an image without the details that Pillow filters out when it shrinks, and OpenCV's cubic does not."""
    import cv2

    return cv2.GaussianBlur(motorcycle_image(size), (0, 0), max(1.0, size[0] / 200))


def processor(family, **options):
    """Return transformers' own image processor; the ones that need no torchvision."""
    import importlib

    module = importlib.import_module(f'transformers.models.{family}.image_processing_pil_{family}')
    return getattr(module, {'dpt': 'DPT', 'zoedepth': 'ZoeDepth', 'glpn': 'GLPN'}[family] + 'ImageProcessorPil')(
        **options
    )


def depth_anything_processor():
    return processor(
        'dpt', size={'height': 518, 'width': 518}, keep_aspect_ratio=True, ensure_multiple_of=14, resample=BICUBIC,
        image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225],
    )  # fmt: skip


def dpt_processor(side, resample=BICUBIC):
    return processor(
        'dpt', size={'height': side, 'width': side}, resample=resample, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )


def zoedepth_processor():
    return processor('zoedepth', size={'height': 384, 'width': 512}, ensure_multiple_of=32, keep_aspect_ratio=True)


def by_transformers(reference, theirs, image):
    """Return the input tensor of transformers for an image, and its depth at the image's size."""
    from PIL import Image
    from torch.nn.functional import interpolate

    tensor = theirs(images=Image.fromarray(image), return_tensors='pt')['pixel_values']
    height, width = image.shape[:2]
    with torch.no_grad():
        raw = reference(tensor).predicted_depth
    assert float(raw.std() / raw.abs().mean()) > 1e-3  # a constant map would make the comparison meaningless
    border = [
        int(np.sqrt(side / 2) * 3) if hasattr(theirs, 'do_pad') and theirs.do_pad else 0 for side in (height, width)
    ]
    whole = [height + 2 * border[0], width + 2 * border[1]]
    # What post_process_depth_estimation does; ZoeDepth's own needs torchvision.
    depth = interpolate(raw[None], size=whole, mode='bicubic', align_corners=False)[0, 0].numpy()
    return tensor, depth[border[0] : border[0] + height, border[1] : border[1] + width]


def difference(network, image, expected):
    height, width = image.shape[:2]
    ours = network.estimate(Frame(image, Camera(width, height, 500.0, 500.0, width / 2, height / 2))).values
    return np.median(np.abs(ours - expected) / np.maximum(np.abs(expected), 1e-6))


# checkpoint, transformers' processor, for any size, sizes of images, largest difference
PARITY = {
    'depth-anything-v2-small': (depth_anything, depth_anything_processor, True, SIZES, 1e-3),
    'depth-anything-v2-metric-indoor-small': (
        lambda: depth_anything('metric'), depth_anything_processor, True, SIZES[:1], 1e-3
    ),
    'dpt-large-384': (dpt, lambda: dpt_processor(384), False, SIZES, 5e-3),
    'dpt-hybrid-384': (dpt_hybrid, lambda: dpt_processor(384), False, SIZES[:1], 5e-3),
    'midas-v3.1-swin2-tiny-256': (swin2, lambda: dpt_processor(256), False, SIZES, 5e-3),
    'glpn-nyu': (glpn, lambda: processor('glpn'), True, SIZES, 5e-3),
}  # fmt: skip


@pytest.mark.parametrize('model_id', PARITY)
def test_an_export_gives_the_depth_that_transformers_gives_for_the_same_image(tmp_path, model_id):
    make, make_processor, dynamic, sizes, limit = PARITY[model_id]
    weights = saved(
        tmp_path, make(), std=0.05 if make is swin2 else 0.15
    )  # larger weights amplify one grey level to 1 %
    manifest, _ = find_manifest(model_id)
    done = export(manifest, weights, tmp_path / 'out/net.onnx', dynamic=dynamic)
    assert done.difference <= 1e-3
    reference = transformers.AutoModelForDepthEstimation.from_pretrained(weights).eval()
    described, network = load(done.manifest)
    for size in sizes:
        image = smooth_image(size)
        if manifest.family == 'depth_anything' and size == SIZES[2]:
            # transformers scales as little as possible, the authors' rule (used here) keeps both sides at 518 or more.
            assert plan(described.preprocess, size).size == (798, 518)
            rules = replace(described.preprocess, resize=replace(described.preprocess.resize, mode='minimal'))
            runtime = OnnxRuntime(model_file(described, done.onnx.parent), RuntimeOptions('cpu'))
            network = MonoNetwork(replace(described, preprocess=rules), runtime)
        else:
            network = MonoNetwork(described, OnnxRuntime(done.onnx, RuntimeOptions('cpu')))
        tensor, expected = by_transformers(reference, make_processor(), image)
        assert network._placement(image).size == (tensor.shape[3], tensor.shape[2])
        found = difference(network, image, expected)
        assert found <= limit, (size, found)


def test_an_export_with_a_prompt_gives_the_metres_that_transformers_gives_for_the_same_prompt(tmp_path):
    from PIL import Image
    from torch.nn.functional import interpolate

    weights = saved(tmp_path, prompt_depth_anything())
    manifest, _ = find_manifest('prompt-depth-anything-vits')
    small = replace(manifest.preprocess, resize=replace(manifest.preprocess.resize, width=154, height=154))
    done = export(replace(manifest, preprocess=small), weights, tmp_path / 'out/net.onnx', dynamic=True)
    assert done.difference <= 1e-3
    reference = transformers.AutoModelForDepthEstimation.from_pretrained(weights).eval()
    theirs = processor(
        'dpt', size={'height': 154, 'width': 154}, keep_aspect_ratio=True, ensure_multiple_of=14, resample=BICUBIC,
        image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225],
    )  # fmt: skip
    image = smooth_image((640, 480))
    prompt_m = np.linspace(0.8, 4.2, 192, dtype=np.float32)[:, None] + np.linspace(0, 1, 256, dtype=np.float32)
    tensor = theirs(images=Image.fromarray(image), return_tensors='pt')['pixel_values']
    with torch.no_grad():
        raw = reference(tensor, torch.from_numpy(prompt_m)[None, None]).predicted_depth
    assert float(raw.std() / raw.mean()) > 1e-3
    expected = interpolate(raw[None], size=(480, 640), mode='bilinear', align_corners=False)[0, 0].numpy()
    _, network = load(done.manifest)
    ours = network.estimate(Frame(image, None, prompt_m=prompt_m)).values
    assert np.median(np.abs(ours - expected) / expected) <= 1e-3
    doubled = network.estimate(Frame(image, None, prompt_m=2 * prompt_m)).values
    np.testing.assert_allclose(doubled, 2 * ours, rtol=1e-3)


@pytest.mark.parametrize('size', SIZES)
def test_zoedepth_has_the_input_size_that_transformers_chooses(size):
    tensor = zoedepth_processor()(images=[smooth_image(size)], return_tensors='pt')['pixel_values']
    manifest, _ = find_manifest('zoedepth-n')
    assert plan(manifest.preprocess, size).size == (tensor.shape[3], tensor.shape[2])


def test_zoedepth_gives_the_depth_that_transformers_gives_at_the_size_that_it_chooses(tmp_path):
    weights, size = saved(tmp_path, zoedepth(1)), SIZES[2]  # not the aspect ratio of the position embeddings
    reference = transformers.AutoModelForDepthEstimation.from_pretrained(weights).eval()
    _, expected = by_transformers(reference, zoedepth_processor(), smooth_image(size))
    manifest, _ = find_manifest('zoedepth-n')
    done = export(manifest, weights, tmp_path / 'net.onnx', size=plan(manifest.preprocess, size).size)
    assert difference(load(done.onnx)[1], smooth_image(size), expected) <= 5e-3


def test_depth_pro_gives_metres_with_the_camera_s_focal_length_and_with_its_own(tmp_path):
    weights = saved(tmp_path, depth_pro())
    manifest, _ = find_manifest('depth-pro')
    done = export(manifest, weights, tmp_path / 'net.onnx', size=(256, 256))
    _, network = load(done.onnx)
    image, camera = motorcycle_image((640, 480)), Camera(640, 480, 500.0, 500.0, 320.0, 240.0)
    reference = transformers.AutoModelForDepthEstimation.from_pretrained(weights).eval()
    exported, _ = load(done.onnx)
    placement = plan(exported.preprocess, (640, 480))
    tensor = prepare(exported, placement, image, None, None)['pixel_values']
    with torch.no_grad():
        found = reference(torch.from_numpy(tensor))
    inverse = placement.to_image(found.predicted_depth[0].numpy())
    fov_rad = np.radians(float(found.field_of_view[0]))
    for cam, fx in ((camera, 500.0), (None, 0.5 * 640 / np.tan(fov_rad / 2))):
        expected = 1 / np.clip(inverse * 640 / fx, 1e-4, 1e4)
        ours = network.estimate(Frame(image, cam))
        assert ours.space == 'metric_depth'
        assert np.median(np.abs(ours.values / expected - 1)) < 1e-3


def test_a_dynamic_export_follows_its_input_where_transformers_freezes_it(tmp_path):
    manifest, _ = find_manifest('depth-anything-v2-small')
    done = export(manifest, saved(tmp_path, depth_anything()), tmp_path / 'net.onnx', dynamic=True)
    runtime = OnnxRuntime(done.onnx, RuntimeOptions('cpu'))
    for height, width in ((70, 84), (518, 686), (56, 140)):
        found = runtime.infer({'pixel_values': np.zeros((1, 3, height, width), np.float32)})['predicted_depth']
        assert found.shape == (1, height, width)
    assert len(done.sizes) == 2 and done.sizes[0] != done.sizes[1]


@pytest.mark.parametrize(('model_id', 'head'), [('zoedepth-nk-indoor', 0), ('zoedepth-nk-outdoor', 1)])
def test_the_head_of_zoedepth_nk_is_the_one_for_the_range_of_the_manifest(tmp_path, model_id, head):
    weights = saved(tmp_path, zoedepth(2))
    manifest, _ = find_manifest(model_id)
    done = export(manifest, weights, tmp_path / 'net.onnx', size=(160, 128))
    tensor = np.random.default_rng(0).normal(size=(1, 3, done.sizes[0][1], done.sizes[0][0])).astype(np.float32)
    found = OnnxRuntime(done.onnx, RuntimeOptions('cpu')).infer({'pixel_values': tensor})['predicted_depth']
    by_head = []
    for choice in (0, 1):  # transformers, with weights of the router that select one head
        reference = transformers.AutoModelForDepthEstimation.from_pretrained(weights).eval()
        last = reference.metric_head.mlp_classifier.linear2
        with torch.no_grad():
            last.weight.zero_()
            last.bias.copy_(torch.eye(2)[choice] * 10)
            by_head.append(reference(torch.from_numpy(tensor)).predicted_depth.numpy())
    assert np.abs(by_head[0] - by_head[1]).max() > 0.1
    np.testing.assert_allclose(found, by_head[head], rtol=1e-3)


def test_an_exported_file_can_be_loaded_by_its_path(tmp_path):
    manifest, _ = find_manifest('dpt-large-384')
    done = export(manifest, saved(tmp_path, dpt()), tmp_path / 'net.onnx', size=(192, 192))
    described, network = load(done.onnx)
    assert described.artifact.sha256 and described.preprocess.resize.mode == 'stretch'
    assert network.estimate(Frame(motorcycle_image((333, 217)), None)).values.shape == (217, 333)


@pytest.mark.parametrize(
    ('model_id', 'weights', 'options', 'error', 'text'),
    [
        ('metric3d-v2-small', 'x', {}, ModelError, "family 'metric3d' cannot be exported; expected one of"),
        ('dpt-large-384', 'x', {'dynamic': True}, ModelError, 'cannot be exported for any size'),
        ('dpt-large-384', '/nowhere', {}, ModelLoadError, "'/nowhere' is not a checkpoint"),
    ],
)
def test_an_impossible_export_is_an_error(tmp_path, model_id, weights, options, error, text):
    manifest, _ = find_manifest(model_id)
    with pytest.raises(error, match=text):
        export(manifest, weights, tmp_path / 'net.onnx', **options)


def test_a_file_that_differs_from_torch_is_not_kept(tmp_path, monkeypatch):
    import depth_ros.export.export_model as module

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


def test_half_precision_is_compared_with_full_precision_when_it_is_made_and_at_every_load(tmp_path):
    manifest, _ = find_manifest('dpt-large-384')
    done = export(manifest, saved(tmp_path, dpt()), tmp_path / 'net.onnx', half=True)
    full = export(manifest, str(tmp_path / 'checkpoint'), tmp_path / 'full.onnx')
    assert 1e-6 < done.difference < 0.02
    weights = [each.data_type for each in onnx.load(done.onnx).graph.initializer if len(each.dims) > 1]
    assert weights and set(weights) == {onnx.TensorProto.FLOAT16}
    estimator = mono_estimator(MonoSettings(model=str(done.onnx)))
    assert 'fp16 within 0.' in estimator.name
    assert 'fp32 within 0.00%' in mono_estimator(MonoSettings(model=str(full.onnx))).name
    np.savez(
        done.onnx.with_suffix('.reference.npz'),
        expected=1.1 * np.load(done.onnx.with_suffix('.reference.npz'))['expected'],
    )
    with pytest.raises(ModelMismatch, match=r'in fp16: .* differs by 9\.\d% .* expected at most 2\.0%'):
        mono_estimator(MonoSettings(model=str(done.onnx)))


def marigold(path, scheduler, steps):
    """Save a pipeline of the smallest networks that diffusers builds."""
    import json

    diffusers = pytest.importorskip(
        'diffusers', reason='exporting Marigold needs diffusers; ./scripts/test --all installs it'
    )
    torch.manual_seed(0)
    vae = diffusers.AutoencoderKL(
        block_out_channels=[8, 8, 8, 8], layers_per_block=1, norm_num_groups=4, latent_channels=4, sample_size=32,
        down_block_types=['DownEncoderBlock2D'] * 4, up_block_types=['UpDecoderBlock2D'] * 4,
    )  # fmt: skip
    unet = diffusers.UNet2DConditionModel(
        in_channels=8, out_channels=4, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4,
        cross_attention_dim=16, attention_head_dim=4, sample_size=8,
        down_block_types=('CrossAttnDownBlock2D', 'DownBlock2D'), up_block_types=('UpBlock2D', 'CrossAttnUpBlock2D'),
    )  # fmt: skip
    text_config = transformers.CLIPTextConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, vocab_size=3,
        bos_token_id=0, eos_token_id=1,
    )  # fmt: skip
    path.mkdir(parents=True)
    (path / 'vocab.json').write_text(json.dumps({'<|startoftext|>': 0, '<|endoftext|>': 1, 'a</w>': 2}))
    (path / 'merges.txt').write_text('#version: 0.2\n')
    kinds = {'prediction_type': 'v_prediction', 'num_train_timesteps': 1000, 'clip_sample': False}
    pipeline = diffusers.MarigoldDepthPipeline(
        unet, vae, getattr(diffusers, scheduler)(**kinds), transformers.CLIPTextModel(text_config),
        transformers.CLIPTokenizer(str(path / 'vocab.json'), str(path / 'merges.txt'), model_max_length=77),
        prediction_type='depth', default_denoising_steps=steps, default_processing_resolution=96,
    )  # fmt: skip
    pipeline.save_pretrained(path)
    return diffusers.MarigoldDepthPipeline.from_pretrained(path)


@pytest.mark.parametrize(('scheduler', 'steps'), [('LCMScheduler', 2), ('DDIMScheduler', 2)])
def test_marigold_s_steps_in_one_graph_give_what_diffusers_gives_from_the_same_noise(
    tmp_path, monkeypatch, scheduler, steps
):
    pipeline = marigold(tmp_path / 'checkpoint', scheduler, steps)
    manifest, _ = find_manifest('marigold-lcm')
    done = export(manifest, str(tmp_path / 'checkpoint'), tmp_path / 'net.onnx', size=(96, 72))
    rng = np.random.default_rng(0)

    def noise(shape, **_):
        return torch.from_numpy(rng.standard_normal(list(shape), np.float32))

    import sys

    for module in (pipeline, pipeline.scheduler):
        monkeypatch.setattr(sys.modules[type(module).__module__], 'randn_tensor', noise)
    image = smooth_image((96, 72))
    theirs = pipeline(torch.from_numpy(image).permute(2, 0, 1)[None] / 255.0).prediction[0, :, :, 0]
    ours = load(done.onnx)[1].estimate(Frame(image, None))
    assert theirs.std() > 1e-3 and ours.lacks == ('scale_shift',)
    np.testing.assert_allclose(ours.values, theirs, atol=1e-4)


def test_marigold_in_one_step_from_zeros_gives_the_clean_latent(tmp_path):
    pipeline = marigold(tmp_path / 'checkpoint', 'DDIMScheduler', 1)
    manifest, _ = find_manifest('marigold-e2e-ft')
    done = export(manifest, str(tmp_path / 'checkpoint'), tmp_path / 'net.onnx', size=(96, 72))
    image = smooth_image((96, 72))
    step = torch.tensor(999)
    pipeline.scheduler.set_timesteps(1)
    with torch.no_grad():
        image_latent = pipeline.vae.encode(
            torch.from_numpy(image).permute(2, 0, 1)[None] / 127.5 - 1
        ).latent_dist.mode()
        image_latent = image_latent * pipeline.vae.config.scaling_factor
        zeros = torch.zeros_like(image_latent)
        text = pipeline.text_encoder(pipeline.tokenizer('', padding='do_not_pad', return_tensors='pt').input_ids)[0]
        velocity = pipeline.unet(torch.cat([image_latent, zeros], 1), step, encoder_hidden_states=text).sample
        clean = pipeline.scheduler.step(velocity, step, zeros).pred_original_sample
        expected = pipeline.decode_prediction(clean)[0, 0].numpy()
    assert expected.std() > 1e-3
    np.testing.assert_allclose(load(done.onnx)[1].estimate(Frame(image, None)).values, expected, atol=1e-4)
