"""Features from before the upsample: the tap on the layer, the host's own weights, and whole runs at that place."""

import gc
import threading
import weakref

import comfy.samplers
import pytest
import torch
import toys
from clockwork import kinds, last_report, with_clockwork

from clockwork_pack.adaptors import Identity
from clockwork_pack.clockwork_core import tap
from clockwork_pack.clockwork_core.act import RESIZED_INSIDE
from clockwork_pack.clockwork_core.cut import Place, Seam, kept_blocks_before_upsample, seam_of
from clockwork_pack.clockwork_core.runtime import detach
from clockwork_pack.clockwork_core.tap import TappedUpsample
from clockwork_pack.clockwork_core.trace import Trace

BEFORE = Identity(place=Place.BEFORE_UPSAMPLE)
SEAMS = {"sd15": 3, "sdxl": 3, "koala 700m": 2, "svd": 3, "x4 upscaler": 3}
TAPPED = "diffusion_model.output_blocks.8.2"


class Recorder(Identity):
    """An identity before the upsample that also remembers r_in, and keeps what it is given."""

    place = Place.BEFORE_UPSAMPLE
    remembers_r_in = True

    def __init__(self):
        super().__init__(place=Place.BEFORE_UPSAMPLE)
        object.__setattr__(self, "seen", [])

    def predict(self, past, present):
        self.seen.append((past, present))
        return super().predict(past, present)


@pytest.fixture(scope="module")
def sd15():
    return toys.toy_model("sd15")


def shrink(h, options):
    """As deep shrink does at the downsample: half the size inside."""
    return torch.nn.functional.avg_pool2d(h, 2) if options["block"] == ("input", 3) else h


class TestTap:
    def test_reads_what_enters_and_gives_what_the_layer_gives(self, sd15):
        layer = sd15.model.diffusion_model.output_blocks[8][2]
        x, size = torch.randn(1, layer.channels, 5, 7), torch.Size((1, 1, 9, 13))
        seen = []
        with tap.reading(seen.append):
            output = TappedUpsample(layer)(x, output_shape=size)
        assert torch.equal(output, layer(x, output_shape=size))
        assert seen[0] is x

    def test_silent_outside_the_block_and_in_other_threads(self, sd15):
        tapped = TappedUpsample(sd15.model.diffusion_model.output_blocks[8][2])
        x, seen = torch.randn(1, tapped.channels, 4, 4), []
        with tap.reading(seen.append):
            other = threading.Thread(target=tapped, args=(x,))
            other.start()
            other.join()
        tapped(x)
        assert seen == []

    def test_shares_the_very_same_weights_under_the_same_names(self, sd15):
        layer = sd15.model.diffusion_model.output_blocks[8][2]
        tapped = TappedUpsample(layer)
        assert isinstance(tapped, type(layer))
        assert list(tapped.state_dict()) == list(layer.state_dict())
        assert tapped.conv is layer.conv

    def test_a_forward_that_another_pack_hung_on_the_layer_still_runs(self):
        layer = toys.toy_model("sd15").model.diffusion_model.output_blocks[8][2]
        layer.forward = lambda x, **_: x + 1
        seen, x = [], torch.zeros(1, layer.channels, 2, 2)
        with tap.reading(seen.append):
            assert TappedUpsample(layer)(x).eq(1).all()
        assert seen[0] is x


class TestPatching:
    def test_the_model_given_stays_as_it_was(self):
        model = toys.toy_model("sd15")
        expected = toys.sample(model)
        patched = with_clockwork(model, adaptor=BEFORE)
        assert list(patched.object_patches) == [TAPPED]
        assert not model.object_patches
        toys.sample(patched)
        assert isinstance(model.model.diffusion_model.output_blocks[8][2], TappedUpsample)
        assert torch.equal(toys.sample(model), expected)
        assert not isinstance(model.model.diffusion_model.output_blocks[8][2], TappedUpsample), "the host took it off"

    def test_a_second_clockwork_replaces_the_tap(self, sd15):
        patched = with_clockwork(sd15, adaptor=BEFORE)
        toys.sample(patched)
        deeper = with_clockwork(patched, kept_blocks=6, adaptor=BEFORE)
        assert list(deeper.object_patches) == ["diffusion_model.output_blocks.5.2"]
        again = with_clockwork(patched, adaptor=BEFORE)
        assert not isinstance(again.object_patches[TAPPED]._forward_of_layer.__self__, TappedUpsample), (
            "no tap on a tap"
        )
        assert not detach(patched).object_patches
        toys.sample(deeper)
        assert kinds(deeper) == "FaFaFa"

    @pytest.mark.parametrize("after_attach", [True, False])
    def test_a_lora_on_the_tapped_layers_weights(self, after_attach):
        model = toys.toy_model("sd15")
        key = f"{TAPPED}.conv.weight"
        weight = model.model_state_dict()[key]
        lora = {key: (0.5 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)),)}
        plain, patched = model.clone(), with_clockwork(model, clock=1, adaptor=BEFORE)
        if not after_attach:
            plain.add_patches(lora)
            patched = with_clockwork(plain, clock=1, adaptor=BEFORE)
        else:
            assert plain.add_patches(lora) == patched.add_patches(lora) == [key]
        without, expected = toys.sample(model), toys.sample(plain)
        assert not torch.equal(expected, without), "the LoRA matters"
        assert torch.equal(toys.sample(patched), expected)
        assert torch.equal(toys.sample(model), without), "and goes again"

    def test_a_lora_on_the_layer_while_its_weights_are_offloaded(self):
        """The host then hangs the LoRA on the layer and computes it as the layer runs."""
        model = toys.toy_model("sd15")
        layer = model.model.diffusion_model.output_blocks[8][2]
        x = torch.randn(1, layer.channels, 4, 4)
        change = torch.randn(layer.conv.weight.shape, generator=torch.Generator().manual_seed(0))
        without = layer(x)
        patched = with_clockwork(model, adaptor=BEFORE)
        patched.add_patches({f"{TAPPED}.conv.weight": (change,)})
        patched.patch_model(torch.device("cpu"), lowvram_model_memory=1)
        tapped = model.model.diffusion_model.output_blocks[8][2]
        assert isinstance(tapped, TappedUpsample)
        assert len(tapped.conv.weight_function) == 1
        larger = torch.nn.functional.interpolate(x, scale_factor=2)
        expected = without + torch.nn.functional.conv2d(larger, change, padding=1)
        assert torch.allclose(tapped(x), expected, atol=1e-4)
        patched.unpatch_model(torch.device("cpu"))
        assert model.model.diffusion_model.output_blocks[8][2] is layer
        assert torch.equal(layer(x), without)


class TestRuns:
    @pytest.mark.parametrize("family", SEAMS)
    def test_identity_before_equals_identity_after(self, family):
        model, batch = toys.toy_model(family), toys.FAMILIES[family].batch
        kept = SEAMS[family]
        before, after = (with_clockwork(model, 3, kept, adaptor=adaptor) for adaptor in (BEFORE, Identity()))
        expected = toys.sample(after, batch=batch)
        assert torch.equal(toys.sample(before, batch=batch), expected)
        assert kinds(before) == kinds(after) == "FaaFaa"
        assert last_report(before).peak_bytes < last_report(after).peak_bytes, (
            "a quarter of the places, twice the width"
        )

    @pytest.mark.parametrize("family", SEAMS)
    def test_full_passes_stay_the_hosts_own(self, family):
        model, batch = toys.toy_model(family), toys.FAMILIES[family].batch
        expected = toys.sample(model, steps=3, batch=batch)
        patched = with_clockwork(model, clock=1, kept_blocks=SEAMS[family], adaptor=BEFORE)
        assert torch.equal(toys.sample(patched, steps=3, batch=batch), expected)

    @pytest.mark.parametrize("size", [(15, 17), (16, 24)])
    def test_odd_sizes(self, sd15, size):
        after = toys.sample(with_clockwork(sd15), size=size)
        assert torch.equal(toys.sample(with_clockwork(sd15, adaptor=BEFORE), size=size), after)

    def test_what_an_adaptor_is_given(self, sd15):
        recorder = Recorder()
        toys.sample(with_clockwork(sd15, clock=2, adaptor=recorder), steps=4)
        (past, present), _ = recorder.seen
        assert len(past) == 1
        assert past[0].r_out.shape == (2, 64, 8, 8)
        assert past[0].r_in.shape == present.r_in.shape == (2, 32, 8, 8)
        assert not torch.equal(past[0].r_in, present.r_in)
        assert present.emb.shape == (2, 4 * toys.WIDTH)
        assert present.context.shape == (2, 77, toys.CONTEXT)
        assert present.log_snr > past[0].log_snr[0]

    def test_r_in_is_remembered_only_if_wanted(self, sd15):
        with_r_in, without = with_clockwork(sd15, adaptor=Recorder()), with_clockwork(sd15, adaptor=BEFORE)
        toys.sample(with_r_in)
        toys.sample(without)
        # r_in has half the channels of r_out.
        assert last_report(with_r_in).peak_bytes == 1.5 * last_report(without).peak_bytes

    def test_r_in_of_both_passes_is_the_same_thing(self, sd15):
        """Remembered from a full pass and given by a high-res pass of the very same input."""
        model = with_clockwork(sd15, clock=2, adaptor=(recorder := Recorder()))

        class Twice(torch.nn.Module):
            def sample(self, guider, sigmas, extra_args, _callback, noise, *_):
                for _ in range(2):
                    output = guider(noise, sigmas[:1].expand(1), **extra_args)
                return output

        guider = comfy.samplers.CFGGuider(model)
        guider.set_conds(toys.conditioning(1), toys.conditioning(2))
        with torch.inference_mode():
            guider.sample(torch.randn(1, 4, 16, 16), torch.zeros(1, 4, 16, 16), Twice(), torch.tensor([3.0, 2.0, 0.0]))
        ((past, present),) = recorder.seen
        assert torch.equal(past[0].r_in, present.r_in)

    def test_a_resolution_that_changes_between_r_in_and_r_out_makes_each_pass_full(self, sd15):
        patched = with_clockwork(sd15, adaptor=(recorder := Recorder()))
        patched.set_model_input_block_patch(shrink)
        toys.sample(patched)
        assert kinds(patched) == "FFFFFF"
        assert last_report(patched).evaluations[1].reasons == {RESIZED_INSIDE: 1}
        assert recorder.seen == []

    def test_nothing_survives(self, sd15, monkeypatch):
        references, remember = [], Trace.remember

        def spy(trace, stream, features):
            references.extend(weakref.ref(tensor) for tensor in (features.r_in, features.r_out))
            remember(trace, stream, features)

        monkeypatch.setattr(Trace, "remember", spy)
        recorder = Recorder()
        toys.sample(with_clockwork(sd15, adaptor=recorder))
        recorder.seen.clear()
        gc.collect()
        assert references
        assert [reference for reference in references if reference() is not None] == []

    def test_a_model_of_the_same_geometry_without_a_tap_runs_in_full(self):
        """As guiders with a weaker second model do: it gets our options, but was never patched."""
        patched, other = with_clockwork(toys.toy_model("sd15"), adaptor=BEFORE), toys.toy_model("sd15", seed=1)
        other.model.current_patcher = other

        def post_cfg(args):
            comfy.samplers.calc_cond_batch(
                other.model, [args["cond"]], args["input"], args["sigma"], args["model_options"]
            )
            return args["denoised"]

        patched.set_model_sampler_post_cfg_function(post_cfg)
        toys.sample(patched)
        assert [e.calls.total() for e in last_report(patched).evaluations] == [2] * 6


class TestCuts:
    def test_places_of_each_family(self):
        found = {name: kept_blocks_before_upsample(toys.toy_model(name).model.diffusion_model) for name in SEAMS}
        assert found == {
            "sd15": [3, 6, 9], "sdxl": [3, 6], "koala 700m": [2, 4], "svd": [3, 6, 9], "x4 upscaler": [3, 6, 9]
        }  # fmt: skip

    def test_seam(self, sd15):
        unet = sd15.model.diffusion_model
        assert seam_of(unet, 3) == Seam(3, r_in=32, r_out=64, embedding=128, context=toys.CONTEXT)
        assert seam_of(unet, 6) == Seam(6, r_in=64, r_out=128, embedding=128, context=toys.CONTEXT)

    def test_a_cut_without_such_a_place(self, sd15):
        with pytest.raises(ValueError, match=r"kept_blocks is 4, but .* for this UNet choose 3 or 6 or 9"):
            with_clockwork(sd15, kept_blocks=4, adaptor=BEFORE)

    def test_a_unet_that_resamples_inside_its_resblocks(self):
        model = toys.toy_model("sd15")
        config = {**model.model.model_config.unet_config, "resblock_updown": True}
        model.model.diffusion_model = type(model.model.diffusion_model)(**config)
        with pytest.raises(ValueError, match="choose another adaptor: it has no such cut"):
            with_clockwork(model, adaptor=BEFORE)
