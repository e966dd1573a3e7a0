"""The contract with the host: our walk over the blocks is its forward, and the high-res pass is the part it says."""

import pytest
import torch
import toys
from naive import naive_forward

from clockwork_pack.clockwork_core.cut import Cut, Geometry, Place
from clockwork_pack.clockwork_core.passes import (
    SeamMismatchError,
    UNetCall,
    full_pass,
    high_res_pass,
    walk_all_blocks,
)


class AllPatches:
    """Every patch point in use, each leaving a mark that depends on where it was called."""

    def __init__(self, unet):
        self.unet = unet
        self.seen = []

    def _mark(self, name, h, options):
        block = options.get("block", ("none", 0))
        self.seen.append((name, block, options.get("transformer_index")))
        return h * (1 + 0.01 * (len(block[0]) + block[1]) + 0.001 * options.get("transformer_index", 0))

    def options(self):
        def emb(value, _model_channels, options):
            return self._mark("emb", value, options)

        def block(name):
            return lambda h, options: self._mark(name, h, options)

        def output(h, skip, options):
            # FreeU writes into h; a kept feature must not change with it.
            h[:, : h.shape[1] // 2] *= 1.1
            return self._mark("output", h, options), skip * 0.9

        def attention(name):
            return lambda q, k, v, options: (self._mark(name, q, options), k, v)

        def replace(q, k, v, options):
            return self._mark("replace", q, options) + k.mean(1, keepdim=True) * v.mean(1, keepdim=True)

        def attention_output(n, options):
            return self._mark("attention output", n, options)

        return {
            "patches": {
                "emb_patch": [emb],
                "input_block_patch": [block("input")],
                "input_block_patch_after_skip": [block("after skip")],
                "output_block_patch": [output],
                "attn1_patch": [attention("attn1")],
                "attn2_patch": [attention("attn2")],
                "attn1_output_patch": [attention_output],
                "middle_patch": [block("gligen")],
            },
            "patches_replace": {
                "attn1": {("output", 5): replace, ("input", 1): replace, ("output", 9): replace},
            },
        }


def call_of(model, family="sd15", *, seed=0, patches=None, control=None, size=(16, 24)):
    """A UNetCall with random inputs of the family's shapes, two samples (or one video of three frames)."""
    generator = torch.Generator().manual_seed(seed)
    config = model.model.model_config.unet_config
    batch = 3 if "svd" in family or "sv3d" in family else 2
    y = None
    if config.get("num_classes") == "sequential":
        y = torch.randn(batch, config["adm_in_channels"], generator=generator)
    elif config.get("num_classes") is not None:
        y = torch.tensor([3, 7])
    return UNetCall(
        x=torch.randn(batch, config["in_channels"], *size, generator=generator),
        timesteps=torch.tensor([700.0, 300.0, 20.0])[:batch],
        context=torch.randn(batch, 77, toys.CONTEXT, generator=generator),
        y=y,
        control=control,
        transformer_options=patches or {},
        extra={"num_video_frames": 3} if batch == 3 else {},
    )


def control_of(model, call, seed=5):
    """Residuals of all three kinds, as a ControlNet gives them: popped from the end, one for each block."""
    generator = torch.Generator().manual_seed(seed)
    shapes = []
    skips = {"patches": {"input_block_patch": [lambda h, _options: (shapes.append(h.shape), h)[1]]}}
    call_of_shapes = UNetCall(call.x, call.timesteps, call.context, call.y, None, skips, call.extra)
    call_of_shapes.run(model.model.diffusion_model._forward)

    def noise(shape):
        return 0.3 * torch.randn(shape, generator=generator)

    return {
        "input": [noise(shape) for shape in reversed(shapes)],
        "middle": [noise(shapes[-1])],
        "output": [noise(shape) for shape in shapes],
    }


@pytest.mark.parametrize("family", toys.FAMILIES)
def test_walking_all_blocks_equals_the_hosts_forward(family):
    model = toys.toy_model(family)
    unet = model.model.diffusion_model
    plain = call_of(model, family)
    expected = plain.run(unet._forward)
    assert torch.equal(walk_all_blocks(unet, Geometry.of(unet), plain), expected)


@pytest.mark.parametrize("family", toys.FAMILIES)
def test_walking_all_blocks_with_every_patch_point_in_use(family):
    model = toys.toy_model(family)
    unet = model.model.diffusion_model
    control = control_of(model, call_of(model, family))
    results, marks = [], []
    for run in (lambda call: call.run(unet._forward), lambda call: walk_all_blocks(unet, Geometry.of(unet), call)):
        patches = AllPatches(unet)
        call = call_of(model, family, patches=patches.options(), control=control).with_own_control()
        results.append(run(call))
        marks.append(patches.seen)
        assert not any(call.control.values()), "each residual was used once"
    assert torch.equal(*results)
    assert marks[0] == marks[1]
    assert {name for name, *_ in marks[0]} >= {"emb", "input", "after skip", "output", "attn1", "gligen"}


@pytest.mark.parametrize("family", toys.FAMILIES)
def test_the_right_r_out_gives_the_full_output_at_every_cut(family):
    """With the r_out of this very evaluation nothing is approximated: high-res pass = full pass, bit for bit."""
    model = toys.toy_model(family)
    unet = model.model.diffusion_model
    geometry = Geometry.of(unet)
    control = control_of(model, call_of(model, family))
    for kept in range(1, geometry.blocks):
        patches = AllPatches(unet)

        def call(patches=patches):
            return call_of(model, family, patches=patches.options(), control=control).with_own_control()

        full, captured = full_pass(unet._forward, call(), geometry.blocks - kept, streams=1)
        marks_of_full = set(patches.seen)
        patches.seen.clear()
        r_out = captured.r_out[0].clone()
        part = high_res_pass(
            unet, geometry, Cut(kept), call(), lambda _r_in, _emb, r_out=r_out: r_out, captured.skip_shape
        )
        assert torch.equal(part, full), f"{kept} kept blocks"
        assert set(patches.seen) < marks_of_full, "the kept blocks see the ids and indices of the full pass"


@pytest.mark.parametrize("family", ["sd15", "sdxl", "koala 700m", "svd"])
def test_cut_before_the_upsample(family):
    """r_in is what the downsample gives, r_out what the upsample takes; both layers run."""
    model = toys.toy_model(family)
    unet = model.model.diffusion_model
    geometry = Geometry.of(unet)
    kept = geometry.blocks_above(1)
    upsample = list(unet.output_blocks[geometry.blocks - kept - 1].children())[-1]
    downsample = unet.input_blocks[kept][0]
    seen = {}
    hooks = [
        upsample.register_forward_pre_hook(lambda _layer, inputs: seen.update(r_out=inputs[0])),
        downsample.register_forward_hook(lambda _layer, _inputs, output: seen.update(r_in=output)),
    ]
    full = call_of(model, family).run(unet._forward)
    for hook in hooks:
        hook.remove()
    given = []

    def stand_in(r_in, emb):
        given.append((r_in, emb))
        return seen["r_out"]

    cut = Cut(kept, Place.BEFORE_UPSAMPLE)
    assert torch.equal(high_res_pass(unet, geometry, cut, call_of(model, family), stand_in), full)
    assert torch.equal(given[0][0], seen["r_in"])
    assert given[0][1].shape[1] == 4 * toys.WIDTH


@pytest.mark.parametrize("kept", range(1, 12))
def test_identity_equals_a_naive_reference_at_every_cut(kept):
    model = toys.toy_model("sd15")
    unet = model.model.diffusion_model
    geometry = Geometry.of(unet)
    first, second = call_of(model, seed=1), call_of(model, seed=2)
    features = {}
    expected = [naive_forward(unet, call.x, call.timesteps, call.context, kept, features) for call in (first, second)]
    output, captured = full_pass(unet._forward, first, 12 - kept, streams=2)
    assert torch.equal(output, expected[0])
    r_out = torch.cat(captured.r_out)
    assert torch.equal(high_res_pass(unet, geometry, Cut(kept), second, lambda *_: r_out), expected[1])


def test_a_full_pass_gives_each_stream_memory_of_its_own():
    model = toys.toy_model("sd15")
    _, captured = full_pass(model.model.diffusion_model._forward, call_of(model), 9, streams=2)
    first, second = captured.r_out
    assert first.shape == second.shape == (1, 64, 16, 24)
    assert first.untyped_storage().nbytes() == first.nelement() * 4
    assert first.untyped_storage().data_ptr() != second.untyped_storage().data_ptr()


def test_a_full_pass_leaves_the_callers_options_alone():
    model = toys.toy_model("sd15")
    options = {"patches": {"output_block_patch": []}}
    full_pass(model.model.diffusion_model._forward, call_of(model, patches=options), 9, streams=1)
    assert options == {"patches": {"output_block_patch": []}}


def test_seam_mismatch_is_seen_before_the_adaptor_is_asked():
    model = toys.toy_model("sd15")
    unet = model.model.diffusion_model
    with pytest.raises(SeamMismatchError, match=r"is \(32, 16, 24\), but was \(32, 8, 12\)"):
        high_res_pass(unet, Geometry.of(unet), Cut(3), call_of(model), lambda *_: pytest.fail("asked"), (32, 8, 12))
