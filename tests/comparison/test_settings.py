import pytest
import torch
import toys

from clockwork_pack.comparison.settings import LARGEST_SEED, Sampling, Scene, seeds_from

SAMPLING = {"sampler": "dpmpp_2m", "scheduler": "karras", "steps": 20, "cfg": 4.0, "denoise": 1.0}
SCENE = {
    "positive": toys.conditioning(1),
    "negative": toys.conditioning(2),
    "latent": {"samples": torch.zeros(1, 4, 8, 8)},
}


def test_settings_in_a_line():
    assert Sampling(**SAMPLING).describe() == "20 steps, dpmpp_2m, karras, cfg 4"
    assert Sampling(**{**SAMPLING, "cfg": 4.5, "denoise": 0.6}).describe().endswith("cfg 4.5, denoise 0.6")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("sampler", "eulr", "sampler_name is 'eulr', but must be one that this ComfyUI has, such as euler"),
        ("scheduler", None, "scheduler is None, but must be a text"),
        ("steps", 0, "steps is 0, but must lie between 1 and 10000"),
        ("steps", 2.0, "steps is 2.0, but must be a whole number"),
        ("cfg", float("nan"), "cfg is nan, but must lie between 0 and 100"),
        ("cfg", 101, "cfg is 101, but must lie between 0 and 100"),
        ("denoise", 0.0, "denoise is 0.0, but must lie above 0"),
        ("denoise", 1.5, "denoise is 1.5"),
    ],
)
def test_bad_settings(name, value, message):
    with pytest.raises(ValueError, match=message):
        Sampling(**{**SAMPLING, name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("positive", value)
            for value in (None, [], [1], [[torch.zeros(1)]], [[None, {}]], "prompt", torch.zeros(1, 2))
        ),
        ("negative", [[torch.zeros(1, 77, 16), {}], []]),
        *(
            ("latent", value)
            for value in (None, {}, {"samples": torch.zeros(4, 8, 8)}, {"samples": torch.zeros(0, 4, 8, 8)})
        ),
        ("vae", "vae"),
    ],
)
def test_bad_scenes(name, value):
    with pytest.raises(ValueError, match=f"{name} is .*, but must be a "):
        Scene(**{**SCENE, name: value})


def test_seeds_count_up_and_begin_again_after_the_largest():
    assert seeds_from(7, 3) == [7, 8, 9]
    assert seeds_from(LARGEST_SEED, 2) == [LARGEST_SEED, 0]


@pytest.mark.parametrize(
    ("seed", "count", "message"), [(-1, 1, "seed is -1"), (0, 0, "seed_count is 0"), (0, 33, "seed_count is 33")]
)
def test_bad_seeds(seed, count, message):
    with pytest.raises(ValueError, match=message):
        seeds_from(seed, count)
