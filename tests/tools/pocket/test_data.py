"""The examples: what they show is what their captions say."""

import pytest
import torch
import torch.nn.functional as F
from comfy.sd1_clip import SDTokenizer

from clockwork_pack.tools.pocket.data import COLOURS, Captions, Pictures, caption, compose, random_placements
from clockwork_pack.tools.pocket.icons import SIDE, IconSet


def test_captions():
    assert caption("red apple", "white") == "red apple"
    assert caption("red apple", "blue") == "red apple on a blue background"


def test_numbers_of_tokens_stand_for_the_hosts_tokens():
    captions = Captions(("tiger", "red apple"))
    tokens = captions.token_ids[captions.tokens[1, list(COLOURS).index("blue")]]
    expected = [token for token, _ in SDTokenizer().tokenize_with_weights("red apple on a blue background")[0]]
    assert tokens.tolist() == expected[:24]
    assert captions.token_ids[captions.end_token] == 49407


def test_an_empty_icon_leaves_the_background():
    empty = torch.zeros(1, 4, SIDE, SIDE)
    placements = random_placements(1, torch.Generator().manual_seed(0))
    picture = compose(empty, torch.tensor([[0.2, 0.4, 0.6]]), placements)
    torch.testing.assert_close(picture, torch.tensor([0.2, 0.4, 0.6]).view(1, 3, 1, 1).expand(1, 3, 64, 64))


def test_placed_icons_lie_inside_the_picture():
    placements = random_placements(50, torch.Generator().manual_seed(0), 0.5, 0.9)
    scale, shift = placements[:, 0, 0], placements[:, :, 2].abs().amax(1)
    # The picture's edge, 1, lands at scale - shift or beyond: outside of the icon, whose edge is at 1.
    assert (scale - shift >= 1 - 1e-6).all()
    assert 1 / 0.9 <= scale.min() <= scale.max() <= 1 / 0.5


@pytest.fixture
def pictures():
    rgba = torch.full((1, 4, SIDE, SIDE), 255, dtype=torch.uint8)
    return Pictures(IconSet(("tiger",), rgba), torch.device("cpu"))


def test_a_batch_shows_what_its_tokens_say(pictures):
    batch = pictures.batch(64, 1000, torch.Generator().manual_seed(0))
    shown = F.pixel_shuffle(batch.latents, 2) / 2 + 0.5
    # The icon is a white square; at the very corner the background may show.
    torch.testing.assert_close(shown[:, :, 16:48, 16:48], torch.ones(64, 3, 32, 32))
    assert batch.tokens.shape == (64, 24)


def test_timesteps_are_spread_over_the_batch_and_lean_to_high_noise(pictures):
    timesteps = pictures.batch(100, 1000, torch.Generator().manual_seed(0)).timesteps
    assert torch.equal(timesteps, timesteps.sort().values)
    assert 0 <= timesteps.min() <= timesteps.max() <= 999
    assert timesteps.float().median() > 550
