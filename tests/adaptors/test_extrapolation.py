import math

import pytest
import torch
import toys
from clockwork import kinds, last_report, with_clockwork

from clockwork_pack.adaptors import Extrapolation, Identity
from clockwork_pack.clockwork_core.adaptor import Past, Present
from clockwork_pack.clockwork_core.cut import Place
from clockwork_pack.clockwork_core.schedule import ExplicitList


def predict(past, log_snr):
    return Extrapolation().predict(past, Present(None, torch.zeros(2, 16), None, log_snr))


def constant(value, rows=1):
    return torch.full((rows, 2, 3, 3), float(value))


def test_by_hand():
    """r = 3 + d * (1.4 - 1) / (1 - 0.5) * (3 - 2), with d = exp(-4 * 0.4)."""
    output = predict([Past((1.0,), constant(3)), Past((0.5,), constant(2))], 1.4)
    assert torch.allclose(output, constant(3 + math.exp(-1.6) * 0.8))


def test_one_past_pass_is_the_identity():
    newest = torch.randn(2, 8, 4, 4)
    assert predict([Past((1.0, 1.0), newest)], 1.5) is newest


def test_at_the_newest_full_pass_it_is_that_pass():
    newest, older = torch.randn(1, 8, 4, 4), torch.randn(1, 8, 4, 4)
    assert torch.equal(predict([Past((1.0,), newest), Past((0.5,), older)], 1.0), newest)


def test_a_far_forecast_is_nearly_the_identity():
    output = predict([Past((1.0,), constant(3)), Past((0.5,), constant(2))], 4.0)
    assert torch.allclose(output, constant(3), atol=0.005)


@pytest.mark.parametrize("distance", [0.0, 1e-4, -1e-4])
def test_two_full_passes_at_one_sigma_show_no_trend(distance):
    """As the two evaluations of a step of Heun do, where one ends and the next begins."""
    output = predict([Past((1.0,), constant(3)), Past((1.0 - distance,), constant(2))], 1.5)
    assert torch.equal(output, constant(3))


def test_back_towards_the_older_pass_it_interpolates():
    output = predict([Past((1.0,), constant(3)), Past((0.5,), constant(2))], 0.9)
    assert torch.allclose(output, constant(3 - math.exp(-0.4) * 0.2))


def test_rising_sigmas_mirror_falling_ones():
    falling = predict([Past((1.0,), constant(3)), Past((0.5,), constant(2))], 1.4)
    assert torch.equal(predict([Past((-1.0,), constant(3)), Past((-0.5,), constant(2))], -1.4), falling)


def test_each_stream_by_its_own_past():
    newest, older = torch.cat([constant(3, 2), constant(3, 2)]), torch.cat([constant(2, 2), constant(2, 2)])
    output = predict([Past((1.0, 1.2), newest), Past((0.5, 0.2), older)], 1.4)
    expected = [3 + math.exp(-1.6) * 0.8] * 2 + [3 + math.exp(-0.8) * 0.2] * 2
    assert torch.allclose(output[:, 0, 0, 0], torch.tensor(expected))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_stays(dtype):
    past = [Past((1.0,), constant(3).to(dtype)), Past((0.5,), constant(2).to(dtype))]
    output = predict(past, 1.4)
    assert output.dtype is dtype
    assert torch.allclose(output.float(), constant(3.1615), atol=0.01)


def test_what_it_asks_of_the_engine():
    adaptor = Extrapolation()
    assert (adaptor.name, adaptor.place, adaptor.depth) == ("extrapolation", Place.AFTER_UPSAMPLE, 2)
    assert (adaptor.models(), adaptor.flops((2, 64, 8, 8)), adaptor.remembers_r_in) == ([], 0, False)


@pytest.fixture(scope="module")
def model():
    return toys.toy_model("sd15")


class TestRuns:
    def test_until_the_second_full_pass_it_is_the_identity(self, model):
        schedule = ExplicitList("1000")
        identity, extrapolation = (
            with_clockwork(model, schedule=schedule, adaptor=each) for each in (Identity(), Extrapolation())
        )
        assert torch.equal(toys.sample(extrapolation, steps=4), toys.sample(identity, steps=4))
        assert not torch.equal(toys.sample(extrapolation, steps=6), toys.sample(identity, steps=6))
        assert kinds(extrapolation) == "FaaaFa"

    def test_it_remembers_two_passes(self, model):
        identity, extrapolation = (with_clockwork(model, adaptor=each) for each in (Identity(), Extrapolation()))
        toys.sample(identity)
        toys.sample(extrapolation)
        assert last_report(extrapolation).peak_bytes == 2 * last_report(identity).peak_bytes

    def test_before_the_upsample_is_the_same_but_for_rounding(self, model):
        """Forecast and upsample are both linear, but for the bias, which a forecast of differences does not see."""
        after, before = (
            toys.sample(with_clockwork(model, adaptor=Extrapolation(place=place)))
            for place in (Place.AFTER_UPSAMPLE, Place.BEFORE_UPSAMPLE)
        )
        assert (after - before).norm() / after.norm() < 1e-4

    def test_a_resolution_that_changes_inside_the_unet_during_the_run(self, model):
        """As deep shrink does: the last two full passes left features of two sizes."""
        patched = with_clockwork(model, clock=2, kept_blocks=5, adaptor=Extrapolation())
        evaluations = []

        def shrink(h, options):
            if options["block"] == ("input", 3):
                evaluations.append(1)
                return torch.nn.functional.avg_pool2d(h, 2) if len(evaluations) < 4 else h
            return h

        patched.set_model_input_block_patch(shrink)
        assert torch.isfinite(toys.sample(patched, steps=8)).all()
        assert kinds(patched) == "FaFFFaFa"

    @pytest.mark.parametrize("sampler", ["heun", "dpmpp_2m", "dpmpp_sde"])
    def test_samplers(self, model, sampler):
        assert torch.isfinite(toys.sample(with_clockwork(model, adaptor=Extrapolation()), sampler=sampler)).all()
