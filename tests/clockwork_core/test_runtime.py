"""Whole runs through the host's own samplers and guiders."""

import itertools

import comfy.samplers
import pytest
import torch
import toys
from clockwork import kinds, last_report, with_clockwork
from comfy.patcher_extension import WrappersMP
from naive import NaiveClock
from nightly import NIGHTLY

from clockwork_pack.clockwork_core.run import PART_OF_LATENT, Run
from clockwork_pack.clockwork_core.runtime import config_of, detach, reports_of
from clockwork_pack.clockwork_core.schedule import EveryN, ExplicitList, FullSteps

ONE_EVALUATION = ["euler", "euler_ancestral", "dpmpp_2m", "dpmpp_2m_sde", "lms", "ddim", "uni_pc", "lcm"]
TWO_EVALUATIONS = ["heun", "dpm_2", "dpmpp_sde"]


def relative(first, second):
    return ((first - second).norm() / second.norm()).item()


class TestClockOne:
    @pytest.mark.parametrize("sampler", ONE_EVALUATION + TWO_EVALUATIONS)
    def test_bit_identical_for_each_sampler(self, sampler):
        model = toys.toy_model("sd15")
        expected = toys.sample(model, sampler=sampler)
        assert torch.equal(toys.sample(with_clockwork(model, clock=1), sampler=sampler), expected)

    @pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "heun"] if NIGHTLY else ["heun"])
    @pytest.mark.parametrize("family", toys.FAMILIES)
    def test_bit_identical_for_each_family(self, family, sampler):
        model = toys.toy_model(family)
        batch = toys.FAMILIES[family].batch
        expected = toys.sample(model, steps=3, sampler=sampler, batch=batch)
        patched = with_clockwork(model, clock=1, kept_blocks=2)
        assert torch.equal(toys.sample(patched, steps=3, sampler=sampler, batch=batch), expected)

    def test_nothing_is_remembered(self):
        patched = with_clockwork(toys.toy_model("sd15"), clock=1)
        toys.sample(patched)
        assert last_report(patched).peak_bytes == 0

    def test_full_evaluations_of_a_mixed_run_equal_the_hosts_until_the_first_approximation(self):
        model = toys.toy_model("sd15")
        latents = {}
        for name, used in (("plain", model), ("clockwork", with_clockwork(model, schedule=FullSteps.parse("0,1,2")))):
            seen = latents[name] = []
            toys.sample(used, callback=lambda _i, denoised, x, _n, seen=seen: seen.append((denoised, x)))
        for step in range(3):
            assert torch.equal(latents["plain"][step][0], latents["clockwork"][step][0])
        assert not torch.equal(latents["plain"][3][0], latents["clockwork"][3][0])


class TestTicks:
    @pytest.mark.parametrize("sampler", ONE_EVALUATION)
    def test_one_evaluation_per_step(self, sampler):
        patched = with_clockwork(toys.toy_model("sd15"))
        toys.sample(patched, sampler=sampler)
        assert kinds(patched) == "FaFaFa"

    @pytest.mark.parametrize(("sampler", "evaluations"), [("heun", 11), ("dpm_2", 11), ("dpmpp_sde", 11)])
    def test_two_evaluations_per_step(self, sampler, evaluations):
        patched = with_clockwork(toys.toy_model("sd15"), clock=3)
        toys.sample(patched, sampler=sampler)
        assert kinds(patched) == ("Faa" * 4)[:evaluations]

    def test_split_conditionings_tick_once(self):
        patched = with_clockwork(toys.toy_model("sd15"))
        toys.sample(patched, positive=toys.conditioning(10, tokens=77), negative=toys.conditioning(11, tokens=70))
        assert kinds(patched) == "FaFaFa"
        assert [sum(e.calls.values()) for e in last_report(patched).evaluations] == [2] * 6

    def test_partial_run(self):
        patched = with_clockwork(toys.toy_model("sd15"))
        toys.sample(patched, steps=10, start_step=3, last_step=8)
        assert kinds(patched) == "FaFaF"
        assert [e.step for e in last_report(patched).evaluations] == [0, 1, 2, 3, 4]

    def test_denoise_below_one(self):
        patched = with_clockwork(toys.toy_model("sd15"), start=0.5)
        toys.sample(patched, steps=6, denoise=0.4, latent=torch.randn(1, 4, 16, 16))
        assert kinds(patched) == "FFFaFa"

    def test_explicit_list(self):
        patched = with_clockwork(toys.toy_model("sd15"), schedule=ExplicitList("110100"))
        toys.sample(patched)
        assert kinds(patched) == "FFaFaa"

    @pytest.mark.parametrize("dimension", [0, 3], ids=["batch", "width"])
    def test_a_sampler_that_evaluates_parts_of_the_latent_gets_full_passes(self, dimension):
        """Each part is an evaluation; the features of one would be wrong for the next."""

        def sample_in_parts(model, x, sigmas, extra_args=None, **_others):
            for sigma, following in itertools.pairwise(sigmas):
                parts = [
                    model(part, sigma * part.new_ones(part.shape[0]), **extra_args) for part in x.chunk(2, dimension)
                ]
                denoised = torch.cat(parts, dimension)
                x = denoised + (x - denoised) * following / sigma
            return x

        def run(model):
            noise = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(0))
            guider = comfy.samplers.CFGGuider(model)
            guider.set_conds(toys.conditioning(1), toys.conditioning(2))
            sampler = comfy.samplers.KSAMPLER(sample_in_parts)
            with torch.inference_mode():
                sigmas = torch.tensor([10.0, 3.0, 1.0])
                return guider.sample(noise, torch.zeros_like(noise), sampler, sigmas, disable_pbar=True, seed=0)

        model = toys.toy_model("sd15")
        patched = with_clockwork(model)
        assert torch.equal(run(patched), run(model))
        assert kinds(patched) == "FFFF"
        assert PART_OF_LATENT in last_report(patched).evaluations[1].reasons

    def test_a_sampler_that_goes_back_to_more_noise_forgets(self):
        model = with_clockwork(toys.toy_model("sd15"), clock=8)
        there_and_back = torch.tensor([10.0, 6.0, 3.0, 1.0, 8.0, 4.0, 0.0])
        sampler = comfy.samplers.ksampler("euler")
        toys_noise = torch.randn(1, 4, 16, 16)
        with torch.inference_mode():
            comfy.samplers.sample(
                model, toys_noise, toys.conditioning(1), toys.conditioning(2), 3.0, torch.device("cpu"), sampler,
                there_and_back, model.model_options, latent_image=torch.zeros(1, 4, 16, 16), disable_pbar=True,
            )  # fmt: skip
        assert kinds(model) == "FaaaFa"


class TestAgreement:
    @pytest.mark.parametrize("limit", [None, 1])
    def test_split_by_memory_equals_batched(self, limit, monkeypatch):
        model = with_clockwork(toys.toy_model("sdxl"))
        expected = toys.sample(model)
        if limit is not None:
            # The host asks this before it batches conditionings together.
            monkeypatch.setattr(comfy.samplers.model_management, "get_free_memory", lambda *_: limit)
        again = toys.sample(model)
        calls = [sum(e.calls.values()) for e in last_report(model).evaluations]
        assert calls == [1 if limit is None else 2] * 6
        assert relative(again, expected) < 1e-5

    @pytest.mark.parametrize("family", ["sd15", "sdxl"])
    def test_batch_of_four_equals_four_singles(self, family):
        model = with_clockwork(toys.toy_model(family))
        latent = torch.zeros(4, 4, 16, 16)
        noise = torch.randn(4, 4, 16, 16, generator=torch.Generator().manual_seed(3))

        def run(rows):
            with torch.inference_mode():
                return comfy.sample.sample(
                    model, noise[rows], 6, 3.0, "dpmpp_2m", "karras", toys.conditioning(1), toys.conditioning(2),
                    latent[rows], seed=0, disable_pbar=True,
                )  # fmt: skip

        together = run(slice(0, 4))
        for row in range(4):
            assert relative(together[row : row + 1], run(slice(row, row + 1))) < 1e-4

    def test_same_seed_twice(self):
        model = with_clockwork(toys.toy_model("sdxl"), clock=3)
        assert torch.equal(toys.sample(model), toys.sample(model))

    def test_second_run_after_another_size_equals_a_first(self):
        model = toys.toy_model("sd15")
        first = toys.sample(with_clockwork(model))
        used = with_clockwork(model)
        toys.sample(used, size=(24, 8), seed=9)
        assert torch.equal(toys.sample(used), first)


class TestStreams:
    def test_timestep_ranged_conditioning_that_starts_late_gets_a_full_pass(self):
        model = with_clockwork(toys.toy_model("sd15"), clock=8)
        late = toys.conditioning(12, tokens=70, start_percent=0.5, end_percent=1.0)
        toys.sample(model, positive=toys.conditioning(10) + late, steps=8)
        report = last_report(model)
        forced = [e.index for e in report.evaluations if e.reasons]
        assert len(forced) == 1
        assert forced[0] > 1
        assert "nothing to reuse" in next(iter(report.evaluations[forced[0]].reasons))
        assert kinds(model) == "F" + "a" * (forced[0] - 1) + "F" + "a" * (7 - forced[0])

    def test_areas_are_streams_of_their_own(self, monkeypatch):
        model = with_clockwork(toys.toy_model("sd15"))
        left = toys.conditioning(10, area=(16, 8, 0, 0))
        right = toys.conditioning(12, area=(16, 8, 0, 8))
        seen = []
        original = Run.streams_of
        monkeypatch.setattr(Run, "streams_of", lambda run, call: seen.append(original(run, call)) or seen[-1])
        toys.sample(model, positive=left + right)
        assert kinds(model) == "FaFaFa"
        # Two areas, the negative, and the copies of it that the host makes for both areas, under one uuid each.
        streams = [stream for call in seen for stream in call]
        assert len(set(streams)) == 5
        assert len(streams) == 5 * 6

    def test_a_second_call_with_the_same_conditioning_is_another_stream(self):
        """As SAG and PAG do: a post-cfg function evaluates the cond once more on another latent."""
        model = with_clockwork(toys.toy_model("sd15")).clone()
        plain = toys.toy_model("sd15")

        def post_cfg(args):
            extra = comfy.samplers.calc_cond_batch(
                args["model"], [args["cond"]], args["input"] * 0.9, args["sigma"], args["model_options"]
            )
            return args["denoised"] + 0.3 * (args["cond_denoised"] - extra[0])

        for used in (model, plain):
            used.set_model_sampler_post_cfg_function(post_cfg)
        toys.sample(model)
        assert kinds(model) == "FaFaFa"
        assert relative(toys.sample(model), toys.sample(plain)) < 0.5


class TestGuiders:
    def run(self, guider, sigmas):
        latent = torch.zeros(1, 4, 16, 16)
        noise = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            return guider.sample(noise, latent, comfy.samplers.ksampler("euler"), sigmas, disable_pbar=True, seed=0)

    @pytest.mark.parametrize("name", ["CFGGuider", "BasicGuider", "DualCFGGuider"])
    @pytest.mark.parametrize("clock", [1, 2])
    def test_guider(self, name, clock):
        from comfy_extras import nodes_custom_sampler as custom

        def guider(model):
            positive, negative, middle = toys.conditioning(1), toys.conditioning(2), toys.conditioning(3)
            if name == "CFGGuider":
                return custom.CFGGuider.execute(model, positive, negative, 3.0).result[0]
            if name == "BasicGuider":
                return custom.BasicGuider.execute(model, positive).result[0]
            return custom.DualCFGGuider.execute(model, positive, middle, negative, 3.0, 2.0, "regular").result[0]

        model = toys.toy_model("sd15")
        patched = with_clockwork(model, clock)
        sigmas = torch.tensor([10.0, 6.0, 3.0, 1.0, 0.0])
        result, expected = self.run(guider(patched), sigmas), self.run(guider(model), sigmas)
        if clock == 1:
            assert torch.equal(result, expected)
        else:
            assert kinds(patched) == "FaFa"
            assert 0 < relative(result, expected) < 0.5

    def test_inversion_with_rising_sigmas(self):
        patched = with_clockwork(toys.toy_model("sd15"))
        guider = comfy.samplers.CFGGuider(patched)
        guider.set_conds(toys.conditioning(1), toys.conditioning(2))
        self.run(guider, torch.tensor([0.03, 1.0, 3.0, 6.0, 10.0]))
        assert kinds(patched) == "FaFa"


class TestAttach:
    def test_the_model_given_stays_as_it_was(self):
        model = toys.toy_model("sd15")
        expected = toys.sample(model)
        toys.sample(with_clockwork(model))
        assert not any(model.wrappers.values())
        assert reports_of(model) is None
        assert torch.equal(toys.sample(model), expected)

    def test_a_second_clockwork_replaces_the_first(self):
        twice = with_clockwork(with_clockwork(toys.toy_model("sd15"), clock=2), clock=3)
        toys.sample(twice)
        assert kinds(twice) == "FaaFaa"
        assert len(reports_of(twice)._reports) == 1

    def test_detach(self):
        model = toys.toy_model("sd15")
        assert torch.equal(toys.sample(detach(with_clockwork(model))), toys.sample(model))

    def test_the_settings_of_a_patched_model(self):
        model = toys.toy_model("sd15")
        patched = with_clockwork(model, clock=3, kept_blocks=5)
        assert config_of(model) is None
        assert config_of(detach(patched)) is None
        found = config_of(patched.clone())
        assert (found.schedule, found.kept_blocks) == (EveryN(3), 5)

    def test_a_later_clone_keeps_clockwork_and_its_reports(self):
        patched = with_clockwork(toys.toy_model("sd15"))
        toys.sample(patched.clone())
        assert kinds(patched) == "FaFaFa"

    def test_no_unet(self):
        with pytest.raises(ValueError, match="cannot cut the model Flux"):
            with_clockwork(toys.toy_transformer())

    def test_bad_cut(self):
        with pytest.raises(ValueError, match="kept_blocks is 12"):
            with_clockwork(toys.toy_model("sd15"), kept_blocks=12)

    def test_other_wrappers_act_on_adaptor_passes_too(self):
        model = toys.toy_model("sd15")
        for before in (True, False):
            calls = []

            def count(executor, *args, calls=calls, **kwargs):
                calls.append(1)
                return executor(*args, **kwargs)

            patched = model.clone() if before else with_clockwork(model)
            patched.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "another pack", count)
            patched = with_clockwork(patched) if before else patched
            toys.sample(patched)
            assert kinds(patched) == "FaFaFa"
            assert len(calls) == 6

    def test_a_second_model_evaluated_with_the_same_options_is_left_alone(self):
        """As guiders with a weaker second model do."""
        patched, other = with_clockwork(toys.toy_model("sd15")), toys.toy_model("sdxl")
        other.model.current_patcher = other

        def post_cfg(args):
            cond = [{**c, "model_conds": {**c["model_conds"], "y": other_y}} for c in args["cond"]]
            comfy.samplers.calc_cond_batch(other.model, [cond], args["input"], args["sigma"], args["model_options"])
            return args["denoised"]

        other_y = comfy.conds.CONDRegular(torch.zeros(1, 2816))
        patched.set_model_sampler_post_cfg_function(post_cfg)
        toys.sample(patched)
        assert kinds(patched) == "FaFaFa"


@pytest.mark.parametrize("kept", range(1, 12))
def test_a_whole_run_equals_a_naive_clock(kept):
    model = toys.toy_model("sd15")
    naive = model.clone()
    naive.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "naive", NaiveClock(model.model.diffusion_model, 3, kept))
    expected = toys.sample(naive, sampler="dpmpp_2m")
    assert torch.equal(toys.sample(with_clockwork(model, 3, kept), sampler="dpmpp_2m"), expected)
