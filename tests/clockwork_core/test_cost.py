import pytest
import toys

from clockwork_pack.clockwork_core.cost import CallShape, count_passes, saved_share
from clockwork_pack.clockwork_core.cut import Cut, Geometry, Place
from clockwork_pack.clockwork_core.schedule import EveryN, Window, plan
from clockwork_pack.display.plan import TYPICAL_COSTS

SD15 = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 320,
    "num_res_blocks": [2, 2, 2, 2],
    "channel_mult": [1, 2, 4, 4],
    "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0],
    "transformer_depth_output": [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0],
    "transformer_depth_middle": 1,
    "num_heads": 8,
    "num_head_channels": -1,
    "context_dim": 768,
    "use_spatial_transformer": True,
    "use_linear_in_transformer": False,
    "legacy": False,
    "adm_in_channels": None,
}
SDXL = {
    **SD15,
    "num_res_blocks": [2, 2, 2],
    "channel_mult": [1, 2, 4],
    "transformer_depth": [0, 0, 2, 2, 10, 10],
    "transformer_depth_output": [0, 0, 0, 2, 2, 2, 10, 10, 10],
    "transformer_depth_middle": 10,
    "num_heads": -1,
    "num_head_channels": 64,
    "context_dim": 2048,
    "use_linear_in_transformer": True,
    "num_classes": "sequential",
    "adm_in_channels": 2816,
}
SSD1B = {
    **SDXL,
    "transformer_depth": [0, 0, 2, 2, 4, 4],
    "transformer_depth_output": [0, 0, 0, 1, 1, 2, 10, 4, 4],
    "transformer_depth_middle": -1,
}
SHAPES = {
    "sd15": (SD15, CallShape((1, 4, 64, 64), (1, 77, 768), None)),
    "sdxl": (SDXL, CallShape((1, 4, 128, 128), (1, 77, 2048), (1, 2816))),
    "ssd-1b": (SSD1B, CallShape((1, 4, 128, 128), (1, 77, 2048), (1, 2816))),
}


def gflops(model: str, kept_blocks: int, place: Place = Place.AFTER_UPSAMPLE):
    config, shape = SHAPES[model]
    return count_passes(config, shape, Cut(kept_blocks, place))


def test_the_papers_figures():
    """Table "Where SD v1.5 is cut": 338.61 GMACs in all; its counter does not see attention products."""
    costs = gflops("sd15", 3, Place.BEFORE_UPSAMPLE)
    assert costs.full.layers / 1e9 == pytest.approx(677.22, abs=0.005)
    assert costs.full.layers / 1e9 == pytest.approx(2 * 338.61, abs=0.01)
    assert costs.adaptor.layers / 1e9 == pytest.approx(228.12, abs=0.005)


@pytest.mark.parametrize(
    ("model", "kept_blocks", "full", "adaptor"),
    [
        ("sd15", 3, 803.3, 305.4),
        ("sd15", 6, 803.3, 540.6),
        ("sd15", 1, 803.3, 63.3),
        ("sdxl", 3, 6761.2, 447.0),
        ("sdxl", 6, 6761.2, 2070.6),
        ("sdxl", 1, 6761.2, 98.1),
        ("ssd-1b", 3, 4207.8, 447.0),
        ("ssd-1b", 6, 4207.8, 1861.5),
    ],
)
def test_with_attention_and_the_cut_after_the_upsample(model, kept_blocks, full, adaptor):
    costs = gflops(model, kept_blocks)
    assert costs.full.total / 1e9 == pytest.approx(full, abs=0.05)
    assert costs.adaptor.total / 1e9 == pytest.approx(adaptor, abs=0.05)


@pytest.mark.parametrize(
    ("model", "clock", "percent"), [("sd15", 2, 31), ("sd15", 3, 41), ("sdxl", 2, 47), ("sdxl", 4, 70)]
)
def test_saved_share(model, clock, percent):
    kinds = plan(EveryN(clock), Window(), 60)
    assert 100 * saved_share(gflops(model, 3), kinds) == pytest.approx(percent, abs=0.6)


@pytest.mark.parametrize(("cut", "kept_blocks"), [("stage 1", 3), ("stage 2", 6)])
def test_typical_costs_that_the_browser_shows(cut, kept_blocks):
    counted = {"SDXL": gflops("sdxl", kept_blocks).ratio, "SD 1.5": gflops("sd15", kept_blocks).ratio}
    assert TYPICAL_COSTS[cut] == pytest.approx(counted, abs=0.0005)


def test_cost_is_linear_in_the_batch():
    config, one = SHAPES["sd15"]
    two = CallShape((2, *one.x[1:]), (2, 77, 768), None)
    assert count_passes(config, two, Cut(3)).full.total == 2 * count_passes(config, one, Cut(3)).full.total


@pytest.mark.parametrize("family", toys.FAMILIES)
def test_each_family_can_be_counted(family):
    model = toys.toy_model(family)
    patched_calls = []
    unet = model.model.diffusion_model
    unet.register_forward_pre_hook(
        lambda _unet, positional, keywords: patched_calls.append((positional, keywords)), with_kwargs=True
    )
    toys.sample(model, steps=1, batch=toys.FAMILIES[family].batch)
    (x, _timesteps), keywords = patched_calls[0]
    y = keywords.get("y")
    shape = CallShape(
        tuple(x.shape),
        tuple(keywords["context"].shape),
        None if y is None else tuple(y.shape),
        keywords.get("num_video_frames"),
    )
    kept = Geometry.of(unet).blocks_above(1)
    costs = count_passes(model.model.model_config.unet_config, shape, Cut(kept))
    assert 0 < costs.adaptor.total < costs.full.total


def test_counting_leaves_the_users_model_alone():
    config, shape = SHAPES["sd15"]
    before = repr(config)
    count_passes(config, shape, Cut(2))
    assert repr(config) == before
