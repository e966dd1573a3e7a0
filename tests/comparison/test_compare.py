"""Whole comparisons on a toy UNet: what runs, in which order, from which noise, and what is left behind."""

import json
import math
from contextlib import contextmanager

import comfy.latent_formats
import comfy.model_management
import comfy.utils
import numpy as np
import pytest
import torch
import toys
from clockwork import last_report, with_clockwork
from comfy.patcher_extension import WrappersMP
from lifetimes import condition_of, watch_lifetimes

from clockwork_pack.adaptors import Extrapolation
from clockwork_pack.clockwork_core.cost import CallShape, count_passes
from clockwork_pack.clockwork_core.cut import Cut
from clockwork_pack.clockwork_core.runtime import reports_of
from clockwork_pack.clockwork_core.schedule import ExplicitList
from clockwork_pack.comparison import host
from clockwork_pack.comparison.compare import WITHOUT_VAE, compare
from clockwork_pack.comparison.patching import Connections
from clockwork_pack.comparison.perceptual import missing_for_lpips
from clockwork_pack.comparison.settings import Sampling, Scene
from clockwork_pack.comparison.variants import UNCACHED, parse_variants
from clockwork_pack.demo_model import load_demo_model
from clockwork_pack.demo_model.vae import PocketVAE

STEPS = 4
SEEDS = [3, 4]
WARM_UPS_FOR_ONE_KIND = 2


@pytest.fixture(scope="module")
def toy():
    return toys.model_of(toys.TINIEST)


def scene(batch=1, **latent):
    samples = torch.zeros(batch, 4, 8, 8)
    return Scene(toys.conditioning(10), toys.conditioning(11), {"samples": samples, **latent})


def sampling(**changes):
    return Sampling(
        **{"sampler": "euler", "scheduler": "normal", "steps": STEPS, "cfg": 3.0, "denoise": 1.0, **changes}
    )


def connect(model, schedule=None, adaptor=None):
    return Connections.of(model, "stage 1", 3, schedule, adaptor)


def run(model, variants, seeds=SEEDS, settings=None, what=None, schedule=None, adaptor=None):
    settings, what = settings or sampling(), what or scene()
    with torch.inference_mode():
        connections = connect(model, schedule, adaptor)
        return compare(connections, settings, what, seeds, parse_variants(variants, settings.steps))


def draw(model, settings, what, seed=3, steps=None):
    with torch.inference_mode():
        return host.sample(model, settings, what, seed, steps or settings.steps, lambda *_: None)


def kinds_of(comparison):
    return {row.variant.name: (row.full, row.adaptor) for row in comparison.rows}


@contextmanager
def progress_told_to(listener):
    """The host's place for whoever shows progress; the server puts its own there."""
    before = comfy.utils.PROGRESS_BAR_HOOK
    comfy.utils.set_progress_bar_global_hook(listener)
    try:
        yield
    finally:
        comfy.utils.set_progress_bar_global_hook(before)


def followed(model):
    """A clone that writes down the seed and the number of sigma intervals of each sampling run."""
    runs = []

    def outer_sample(executor, *args, **kwargs):
        runs.append((args[7], len(args[3]) - 1))
        return executor(*args, **kwargs)

    clone = model.clone()
    clone.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, "test", outer_sample)
    return clone, runs


class TestSampling:
    """The same as the host's KSampler node, in each case."""

    def test_the_uncached_run_is_the_host_s_own(self, toy):
        plain = connect(with_clockwork(toy, kept_blocks=1)).patch(UNCACHED)
        assert torch.equal(draw(plain, sampling(), scene()), toys.sample(toy, steps=STEPS, seed=3, size=(8, 8)))
        assert last_report(plain).flops() is not None

    def test_a_batch_with_indices(self, toy):
        both = draw(toy, sampling(), scene(batch=3, batch_index=[0, 1, 2]))
        third = draw(toy, sampling(), scene(batch_index=[2]))
        torch.testing.assert_close(third, both[2:], rtol=1e-4, atol=1e-4)

    def test_a_mask_keeps_what_lies_outside(self, toy):
        mask = torch.zeros(1, 1, 64, 64)
        mask[..., :32] = 1
        latent = {"samples": torch.randn(1, 4, 8, 8), "noise_mask": mask}
        drawn = draw(toy, sampling(), scene(**latent))
        torch.testing.assert_close(drawn[..., 4:], latent["samples"][..., 4:], rtol=0, atol=1e-5)
        assert not torch.allclose(drawn[..., :4], latent["samples"][..., :4], atol=0.1)
        comparison = run(toy, "clock 2\nsteps 2", seeds=[3], what=scene(**latent))
        assert kinds_of(comparison) == {"uncached": (4, 0), "clock 2": (2, 2), "steps 2": (2, 0)}

    def test_less_noise_is_as_many_steps(self, toy):
        settings = sampling(denoise=0.5)
        latent = {"samples": torch.randn(1, 4, 8, 8)}
        expected = toys.sample(toy, steps=STEPS, seed=3, latent=latent["samples"], denoise=0.5)
        assert torch.equal(draw(toy, settings, scene(**latent)), expected)
        comparison = run(toy, "steps 2", seeds=[3], settings=settings, what=scene(**latent))
        assert kinds_of(comparison) == {"uncached": (4, 0), "steps 2": (2, 0)}


class TestOrder:
    def test_seed_by_seed_the_uncached_run_first_after_a_warm_up(self, toy):
        model, runs = followed(toy)
        run(model, "clock 2\nsteps 3")
        assert runs[0] == (3, 2)
        assert runs[1:] == [(3, 4), (3, 4), (3, 3), (4, 4), (4, 4), (4, 3)]

    def test_each_kind_of_pass_is_warmed_up_once(self, toy):
        model, runs = followed(toy)
        run(model, "clock 2\nclock 3\nclock 2 extrapolation\nclock 3 extrapolation", seeds=[3])
        assert runs[:3] == [(3, 2), (3, 2), (3, 4)]

    def test_one_progress_bar_over_everything(self, toy):
        told = []
        with progress_told_to(lambda value, total, preview, **_: told.append((value, total, preview))):
            run(toy, "clock 2\nsteps 3", seeds=[3])
        values = [value for value, _, _ in told]
        assert values == sorted(values)
        assert {total for _, total, _ in told} == {2 + 4 + 4 + 3}
        assert set(values) == set(range(1, 14))
        assert {preview for _, _, preview in told} == {None}, "previews are off"


class TestVariants:
    def test_what_each_runs(self, toy):
        comparison = run(
            with_clockwork(toy, clock=4, kept_blocks=1),
            "clock 2\nclock 3 extrapolation\nschedule\nsteps 2\nsteps 2 clock 2\nas connected\nadaptor",
            seeds=[3],
            schedule=ExplicitList("1101"),
            adaptor=Extrapolation(name="mine"),
        )
        assert kinds_of(comparison) == {
            "uncached": (4, 0),
            "clock 2": (2, 2),
            "clock 3 extrapolation": (2, 2),
            "schedule": (3, 1),
            "steps 2": (2, 0),
            "steps 2 clock 2": (1, 1),
            "as connected": (1, 3),
            "clock 2 adaptor": (2, 2),
        }

    def test_as_connected_draws_what_the_connected_model_draws(self, toy):
        model = with_clockwork(toy, schedule=ExplicitList("1011"), kept_blocks=1, start=0.25, adaptor=Extrapolation())
        again = connect(model).patch(parse_variants("as connected", STEPS)[1])
        assert torch.equal(draw(again, sampling(), scene()), draw(model, sampling(), scene()))

    def test_the_connected_model_s_own_reports_stay_as_they_were(self, toy):
        model = with_clockwork(toy, kept_blocks=1)
        run(model, "as connected", seeds=[3])
        assert reports_of(model).latest is None

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("schedule", "line 2: schedule needs a schedule, but none is connected"),
            ("clock 3 adaptor", "line 2: clock 3 adaptor needs an adaptor, but none is connected"),
            ("as connected", "line 2: as connected needs a model that comes from a Clockwork node"),
        ],
    )
    def test_what_is_not_connected_is_refused_before_sampling(self, toy, line, message):
        model, runs = followed(toy)
        with pytest.raises(ValueError, match=message):
            run(model, f"clock 2\n{line}")
        assert runs == []

    def test_what_is_no_unet(self):
        with pytest.raises(ValueError, match="Clockwork cannot cut the model Flux"):
            run(toys.toy_transformer(), "clock 2")


class TestNumbers:
    def test_the_uncached_run_equals_itself_and_so_does_a_schedule_of_full_passes(self, toy):
        comparison = run(toy, "schedule\nclock 2", schedule=ExplicitList("1"))
        uncached, full, clock = comparison.rows
        for row in (uncached, full):
            assert row.psnr == (None, None, 2, 2)
            assert row.ssim.mean == 1.0
            assert row.flops_percent == 100.0
        assert clock.psnr.exact == 0
        assert math.isfinite(clock.psnr.mean)
        assert clock.ssim.mean < 1.0

    def test_flops_are_those_of_the_passes(self, toy):
        comparison = run(toy, "clock 2\nsteps 3")
        shape = CallShape((2, 4, 8, 8), (2, 77, 16), None)
        costs = count_passes(toy.model.model_config.unet_config, shape, Cut(2))
        full, adaptor = costs.full.total, costs.adaptor.total
        assert [row.flops for row in comparison.rows] == [2 * 4 * full, 2 * (2 * full + 2 * adaptor), 2 * 3 * full]
        assert comparison.rows[2].flops_percent == 75.0

    def test_a_batch_counts_picture_by_picture(self, toy):
        comparison = run(toy, "clock 2", what=scene(batch=3))
        assert comparison.rows[1].psnr.pictures == 2 * 3
        assert [len(pictures) for pictures in comparison.thumbnails] == [2, 2], "one row a seed"

    def test_latents_are_compared_where_there_is_no_vae(self, toy):
        comparison = run(toy, "clock 2", seeds=[3])
        assert comparison.on_latents
        assert comparison.notes[-1] == WITHOUT_VAE
        assert "the uncached latent of the same seed; exact" in comparison.notes[2]

    def test_pictures_are_compared_where_there_is_one(self):
        model, clip, vae = load_demo_model()
        prompt = clip.encode_from_tokens_scheduled(clip.tokenize("rocket"))
        what = Scene(prompt, prompt, {"samples": torch.zeros(1, 4, 16, 16)}, vae)
        comparison = run(model, "clock 2", seeds=[3], what=what)
        assert not comparison.on_latents
        assert missing_for_lpips() in (comparison.notes[-1], None)
        assert comparison.rows[0].psnr.exact == 1
        assert comparison.rows[1].psnr.mean > 5
        assert comparison.thumbnails[0][0].size == (384, 384)

    def test_the_data_are_complete_json(self, toy):
        data = json.loads(json.dumps(run(toy, "clock 2").to_dict(), allow_nan=False))
        assert data["sampling"]["steps"] == STEPS
        assert data["seeds"] == SEEDS
        assert data["distances"] == "latents"
        assert [variant["variant"] for variant in data["variants"]] == ["uncached", "clock 2"]
        assert len(data["variants"][0]["seconds_of_seeds"]) == 2


class TestRough:
    def test_a_model_whose_latents_have_no_known_colours_is_shown_in_gray(self, toy):
        model = toy.clone()
        model.model.latent_format, before = (
            type("Unknown", (comfy.latent_formats.LatentFormat,), {})(),
            toy.model.latent_format,
        )
        try:
            pictures = host.rough_pictures(model, torch.randn(2, 4, 8, 8))
        finally:
            toy.model.latent_format = before
        assert pictures.shape == (2, 3, 8, 8)
        assert torch.equal(pictures[:, 0], pictures[:, 2])

    def test_they_are_what_the_host_s_previews_show(self, toy):
        latents = torch.randn(1, 4, 8, 8)
        latent_format = toy.model.latent_format
        previewer = host.latent_preview.Latent2RGBPreviewer(
            latent_format.latent_rgb_factors, latent_format.latent_rgb_factors_bias
        )
        expected = np.asarray(previewer.decode_latent_to_preview(latent_format.process_in(latents)))
        found = 255 * host.rough_pictures(toy, latents)[0].movedim(0, -1).numpy()
        assert np.abs(found - expected).max() <= 1.0


class TestWhatIsLeft:
    def test_nothing_survives_and_the_model_stays_as_it_was(self, toy, monkeypatch):
        before = condition_of(toy)
        with watch_lifetimes(monkeypatch) as watch:
            comparison = run(toy, "clock 2\nclock 2 extrapolation")
            watch.assert_all_dead()
        assert condition_of(toy) == before
        assert not any(torch.is_tensor(value) for row in comparison.rows for value in vars(row).values())

    @pytest.mark.parametrize("at", [1, 5, 8])
    def test_cancelling_passes_through(self, toy, at, monkeypatch):
        def cancel(value, _total, _preview, **_):
            if value == at:
                comfy.model_management.interrupt_current_processing()
            comfy.model_management.throw_exception_if_processing_interrupted()

        before = condition_of(toy)
        with watch_lifetimes(monkeypatch) as watch:
            with progress_told_to(cancel), pytest.raises(comfy.model_management.InterruptProcessingException):
                run(toy, "clock 2")
            watch.assert_all_dead()
        assert condition_of(toy) == before
        assert kinds_of(run(toy, "clock 2", seeds=[3]))["clock 2"] == (2, 2)


def test_decoded_pictures_are_colours_from_0_to_1():
    pictures = host.decode(PocketVAE(), 3 * torch.randn(2, 12, 4, 4))
    assert pictures.shape == (2, 3, 32, 32)
    assert (pictures.min(), pictures.max()) == (0, 1)
