"""Loading of checkpoints as torch modules that convert an image tensor to the outputs of a manifest, in its order.

Problems of tracing that are solved here, each with a test: the head of Depth Anything freezes the output size with
``int()``; the router of ZoeDepth-NK is a Python branch, of which tracing records only the one taken, so a head is
chosen in advance; a diffusion model is a loop with random numbers, which is unrolled into one graph with the noise of a
seed as constants.
"""

import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from depth_ros.errors import ModelError, ModelLoadError
from depth_ros.files.install_command import install_command
from depth_ros.networks.manifest import Manifest

_NOISE_SEED = 0


def network(manifest: Manifest, weights: str) -> Any:
    """Return a ``torch.nn.Module``: (1, 3, H, W), and (1, 1, h, w) for a prompt → tuple of outputs.

    Args:
        manifest: Manifest of a model whose family has a recipe.
        weights: Folder of the checkpoint, or a hub id.

    Raises:
        ModelError: there is no recipe for this family.
        ModelLoadError: torch, the family's library or the checkpoint is missing.
    """
    recipe = _RECIPES.get(manifest.family)
    if recipe is None:
        raise ModelError(
            f"{manifest.id}: family '{manifest.family}' cannot be exported; expected one of "
            f'{", ".join(_RECIPES)}. Source of a file: {manifest.artifact.source}'
        )
    return recipe(manifest, weights)


def _from_transformers(manifest: Manifest, weights: str) -> Any:
    with _loading(weights, 'transformers'):
        from transformers import AutoModelForDepthEstimation

        model = AutoModelForDepthEstimation.from_pretrained(weights).eval()
    names = [output.name for output in manifest.outputs]

    def forward(*tensors: Any) -> Any:  # in the order of the inputs of transformers: image, prompt depth
        outputs = model(*tensors)
        return tuple(getattr(outputs, name) for name in names)

    return _module(forward, network=model)


def _depth_anything(manifest: Manifest, weights: str) -> Any:
    """Compute the output size in the graph; transformers converts it to a constant with ``int()``."""
    from torch.nn.functional import interpolate

    def forward(head: Any, hidden_states: Any, patch_height: Any, patch_width: Any) -> Any:
        features = head.conv1(hidden_states[head.head_in_index])
        size = (patch_height * head.patch_size, patch_width * head.patch_size)
        features = interpolate(features, size, mode='bilinear', align_corners=True)
        depth = head.activation2(head.conv3(head.activation1(head.conv2(features))))
        return (depth * head.max_depth).squeeze(dim=1)

    module = _from_transformers(manifest, weights)
    module.network.head.forward = types.MethodType(forward, module.network.head)
    return module


def _zoedepth(manifest: Manifest, weights: str) -> Any:
    """If the checkpoint has several heads, choose the one whose range matches the manifest."""
    import torch

    module = _from_transformers(manifest, weights)
    heads = module.network.config.bin_configurations
    if len(heads) > 1:
        head = min(range(len(heads)), key=lambda i: abs(heads[i]['max_depth'] - (manifest.range_m or (0, 10))[1]))

        def choose_head(embedding: Any) -> Any:
            choice = torch.zeros(embedding.shape[0], len(heads))
            choice[:, head] = 1.0
            return choice

        module.network.metric_head.mlp_classifier = _module(choose_head)
    return module


def _marigold(manifest: Manifest, weights: str) -> Any:
    """Unroll the scheduler's steps, in the checkpoint's default number, with the noise of a fixed seed."""
    pipeline, text = _marigold_pipeline(weights)

    def forward(image: Any) -> Any:
        latent_image = _latent(pipeline, image)
        pipeline.scheduler.set_timesteps(pipeline.default_denoising_steps)
        with _constant_noise(pipeline.scheduler) as noise:
            latent = noise(latent_image.shape)
            for step in pipeline.scheduler.timesteps:
                velocity = _velocity(pipeline, latent_image, latent, step, text)
                latent = pipeline.scheduler.step(velocity, step, latent).prev_sample
        return (pipeline.decode_prediction(latent),)

    return _module(forward, vae=pipeline.vae, unet=pipeline.unet)


def _marigold_one_step(manifest: Manifest, weights: str) -> Any:
    """Predict the clean latent from zeros in one step, as in diffusion-e2e-ft."""
    import torch

    pipeline, text = _marigold_pipeline(weights)
    last = torch.tensor(pipeline.scheduler.config.num_train_timesteps - 1)
    sigma = (1 - pipeline.scheduler.alphas_cumprod[last]) ** 0.5

    def forward(image: Any) -> Any:
        latent_image = _latent(pipeline, image)
        velocity = _velocity(pipeline, latent_image, torch.zeros_like(latent_image), last, text)
        return (pipeline.decode_prediction(-sigma * velocity),)

    return _module(forward, vae=pipeline.vae, unet=pipeline.unet)


def _marigold_pipeline(weights: str) -> tuple[Any, Any]:
    """Return the pipeline and the embedding of the empty prompt."""
    with _loading(weights, 'diffusers'):
        import torch
        from diffusers import MarigoldDepthPipeline

        pipeline = MarigoldDepthPipeline.from_pretrained(weights, low_cpu_mem_usage=False)
        tokens = pipeline.tokenizer('', padding='do_not_pad', return_tensors='pt')
        with torch.no_grad():
            return pipeline, pipeline.text_encoder(tokens.input_ids)[0]


def _latent(pipeline: Any, image: Any) -> Any:
    return pipeline.vae.encode(image).latent_dist.mode() * pipeline.vae.config.scaling_factor


def _velocity(pipeline: Any, latent_image: Any, latent: Any, step: Any, text: Any) -> Any:
    import torch

    both = torch.cat([latent_image, latent], dim=1)
    return pipeline.unet(both, step, encoder_hidden_states=text, return_dict=False)[0]


@contextmanager
def _constant_noise(scheduler: Any) -> Iterator[Callable[..., Any]]:
    """Replace a scheduler's random numbers by those of a numpy seed, which tracing records as constants."""
    import sys

    import torch

    rng = np.random.default_rng(_NOISE_SEED)

    def noise(shape: Any, **_: Any) -> Any:
        return torch.from_numpy(rng.standard_normal([int(side) for side in shape], np.float32))

    module: Any = sys.modules[type(scheduler).__module__]
    original = module.randn_tensor
    module.randn_tensor = noise
    try:
        yield noise
    finally:
        module.randn_tensor = original


_RECIPES: dict[str, Callable[[Manifest, str], Any]] = {
    'depth_anything': _depth_anything,
    'dpt': _from_transformers,
    'midas': _from_transformers,
    'glpn': _from_transformers,
    'zoedepth': _zoedepth,
    'depth_pro': _from_transformers,
    'prompt_depth_anything': _from_transformers,
    'marigold': _marigold,
    'marigold_e2e_ft': _marigold_one_step,
}


def _module(function: Callable[..., Any], **parts: Any) -> Any:
    """Return a module that calls a function; ``parts`` are the modules whose weights the function uses."""
    import torch

    class Module(torch.nn.Module):  # type: ignore[misc,name-defined,unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            for name, part in parts.items():
                setattr(self, name, part)

        def forward(self, *tensors: Any) -> Any:
            return function(*tensors)

    return Module().eval()


@contextmanager
def _loading(weights: str, library: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise ModelLoadError(f'exporting needs torch and {library} ({error}): {install_command("export")}') from error
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ModelLoadError(
            f"'{weights}' is not a checkpoint that {library} can load: {reason}. Give the folder with its "
            'configuration and weights, or a hub id (needs a network connection)'
        ) from error
