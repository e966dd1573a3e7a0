import pytest
import toys

from clockwork_pack.clockwork_core.cut import Geometry, choose_kept_blocks, geometry_of

STAGES = {
    "sd15": (12, 3, 6),
    "sd15 inpaint": (12, 3, 6),
    "sd15 instruct-pix2pix": (12, 3, 6),
    "sd20": (12, 3, 6),
    "sdxl": (9, 3, 6),
    "sdxl refiner": (12, 3, 6),
    "ssd-1b": (9, 3, 6),
    "vega": (9, 3, 6),
    "koala 700m": (6, 2, 4),
    "svd": (12, 3, 6),
    "sv3d": (12, 3, 6),
    "x4 upscaler": (12, 3, 6),
}


@pytest.mark.parametrize("family", toys.FAMILIES)
def test_stages_of_each_family(family):
    geometry = geometry_of(toys.toy_model(family))
    found = (
        geometry.blocks,
        choose_kept_blocks(geometry, "stage 1", 99),
        choose_kept_blocks(geometry, "stage 2", 99),
    )
    assert found == STAGES[family]


def test_sd15_geometry_in_full():
    geometry = Geometry.of(toys.toy_model("sd15").model.diffusion_model)
    assert geometry.output_levels == (3, 3, 3, 2, 2, 2, 1, 1, 1, 0, 0, 0)
    assert geometry.downsamples == {3, 6, 9}
    assert geometry.upsamples == {2, 5, 8}
    assert geometry.input_transformers == (0, 1, 1, 0, 1, 1, 0, 1, 1, 0, 0, 0)
    assert geometry.middle_transformers == 1
    assert geometry.transformers_before_output(9) == 6 + 1 + 6


def test_model_without_a_middle_block():
    assert geometry_of(toys.toy_model("koala 700m")).middle_transformers == 0


@pytest.mark.parametrize("kept", [-1, 0, 12, 13])
def test_kept_blocks_out_of_range(kept):
    geometry = geometry_of(toys.toy_model("sd15"))
    with pytest.raises(ValueError, match=f"kept_blocks is {kept}, but this UNet has 12 output blocks: choose 1 to 11"):
        choose_kept_blocks(geometry, "custom", kept)


def test_unknown_cut():
    geometry = geometry_of(toys.toy_model("sd15"))
    with pytest.raises(ValueError, match="cut is 'stage 9', but must be one of stage 1, stage 2, custom"):
        choose_kept_blocks(geometry, "stage 9", 3)


def test_stage_that_the_unet_does_not_have():
    two_levels = Geometry(4, (1, 1, 0, 0), (0, 0, 0, 0), 0, (0, 0, 0, 0), frozenset({2}), frozenset({1}))
    assert choose_kept_blocks(two_levels, "stage 1", 0) == 2
    with pytest.raises(ValueError, match="only 2 resolution levels: choose stage 1, custom"):
        choose_kept_blocks(two_levels, "stage 2", 0)


def test_other_architectures_are_refused_by_name():
    with pytest.raises(ValueError, match=r"cannot cut the model Flux \(its network is a Flux\).*SDXL"):
        geometry_of(toys.toy_transformer())
