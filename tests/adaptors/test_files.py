"""Adaptor files: what is written comes back, what is wrong is refused with a sentence, a full disk leaves nothing."""

import json
import pickle
import struct
from contextlib import contextmanager

import pytest
import torch
import toys
from adaptor_files import DESCRIPTION, TRAINED, rewrite, trained_adaptor
from clockwork import with_clockwork
from safetensors.torch import load_file, save, save_file

from clockwork_pack.adaptors import ARCHITECTURES, Description, describe, untrained
from clockwork_pack.adaptors.files import load_adaptor, save_adaptor
from clockwork_pack.adaptors.metadata import from_metadata, to_metadata


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("adaptors") / "good.safetensors"
    save_adaptor(trained_adaptor(), path)
    return path


class TestRoundTrip:
    @pytest.mark.parametrize("architecture", ARCHITECTURES)
    def test_everything_comes_back(self, architecture, tmp_path):
        plain = describe(architecture, DESCRIPTION.seam)
        adaptor = trained_adaptor(Description(architecture, plain.config, plain.seam, TRAINED, 0.25))
        save_adaptor(adaptor, tmp_path / "a.safetensors")
        loaded = load_adaptor(tmp_path / "a.safetensors")
        assert loaded.description == adaptor.description
        expected = adaptor.network.state_dict()
        assert all(torch.equal(tensor, expected[name]) for name, tensor in loaded.network.state_dict().items())

    def test_an_untrained_one_says_nothing_of_training(self, tmp_path):
        save_adaptor(untrained(describe("resnet", DESCRIPTION.seam)), tmp_path / "a.safetensors")
        description = load_adaptor(tmp_path / "a.safetensors").description
        assert (description.trained_for, description.loss) == (None, None)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_precision_stays(self, dtype, tmp_path):
        adaptor = trained_adaptor()
        adaptor.network.to(dtype)
        save_adaptor(adaptor, tmp_path / "a.safetensors")
        assert {p.dtype for p in load_adaptor(tmp_path / "a.safetensors").network.parameters()} == {dtype}

    def test_draws_the_same_picture(self, good):
        model = toys.toy_model("sd15")
        expected = toys.sample(with_clockwork(model, adaptor=trained_adaptor()))
        assert torch.equal(toys.sample(with_clockwork(model, adaptor=load_adaptor(good))), expected)

    def test_loaded_in_inference_mode_it_can_still_be_trained(self, good):
        with torch.inference_mode():
            adaptor = load_adaptor(good)
        assert not any(parameter.is_inference() for parameter in adaptor.network.parameters())

    def test_the_metadata_is_a_contract(self):
        """Files of users hold these entries: add some, never change one."""
        assert to_metadata(DESCRIPTION) == {
            "format": "clockwork adaptor",
            "format_version": "1",
            "architecture": "resnet",
            "config": '{"past": 1, "r_in": true, "past_r_in": false, "prompt": false, "gaps": false, "width": 32, '
            '"blocks": 2, "stride": 2}',
            "fits": '{"kept_blocks": 3, "r_in": 32, "r_out": 64, "embedding": 128, "context": 16}',
            "trained_for": '{"steps": 8, "sampler": "dpmpp_2m", "scheduler": "karras", "cfg": 4.0, "clock": 2, '
            '"prompts": 100, "most_steps": 0, "most_clock": 0}',
            "loss": "0.5",
        }
        assert from_metadata(to_metadata(DESCRIPTION)) == DESCRIPTION


class TestRefusals:
    @pytest.mark.parametrize(
        ("entry", "value", "message"),
        [
            ("format", None, "it is not one: its format is None, not 'clockwork adaptor'"),
            ("format_version", "2", "has format version '2', but .* reads 1: update ComfyUI-Clockwork"),
            ("format_version", "banana", r"has format version 'banana', but .* reads 1\.$"),
            ("architecture", "mamba", "'mamba', but .* knows resnet, trend, unet, unet-light, affine, refined: update"),
            (
                "architecture",
                "unet",
                "'config' holds 'stride', but must hold past, r_in",
            ),
            ("config", None, "its entry 'config' is missing"),
            ("config", "{", "its entry 'config' is no JSON that can be read"),
            ("config", "[" * 100_000, "its entry 'config' is no JSON that can be read"),
            ("config", "9" * 5000, "its entry 'config' is no JSON that can be read"),
            ("config", "7", "its entry 'config' is 7, but must be a JSON object"),
            ("fits", {"r_in": 0}, "its r_in is 0, but must lie between 1 and 65536"),
            ("fits", {"r_in": 10**12}, "fits.r_in is 1000000000000, but must be a int of reasonable size"),
            ("fits", {"r_in": True}, "fits.r_in is True, but must be a int"),
            ("fits", {"r_in": 32.0}, "fits.r_in is 32.0, but must be a int"),
            ("fits", {"colour": 1}, "'fits' holds 'colour', but must hold kept_blocks, r_in"),
            ("config", {"width": 33}, "width is 33, but must be a multiple of 32"),
            ("config", {"width": 2**20}, "width is 1048576, but must be a multiple of 32 between 32 and 8192"),
            ("config", {"width": 64}, r"tensor .* has the shape \[.*32.*\], but must have \[.*64.*\]"),
            ("config", {"blocks": 3}, r"lacks the tensor middle.blocks.2"),
            ("config", {"prompt": True}, r"lacks the tensor middle.prompt"),
            ("config", {"blocks": 1}, r"has, but should not have, the tensor middle.blocks.1"),
            ("trained_for", {"cfg": "high"}, "trained_for.cfg is 'high', but must be a float"),
            ("trained_for", {"sampler": "x" * 201}, "trained_for.sampler is 'xx"),
            ("loss", "NaN", "loss is nan, but must be a float of reasonable size"),
        ],
    )
    def test_wrong_metadata(self, good, tmp_path, entry, value, message):
        bad = rewrite(good, tmp_path / "bad.safetensors", entry, value)
        with pytest.raises(ValueError, match=f"The adaptor file bad.safetensors cannot be used: .*{message}"):
            load_adaptor(bad)

    def test_no_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"There is no adaptor file .*none.safetensors"):
            load_adaptor(tmp_path / "none.safetensors")

    def test_a_safetensors_file_of_something_else(self, tmp_path):
        save_file({"weight": torch.zeros(2)}, tmp_path / "lora.safetensors")
        with pytest.raises(ValueError, match=r"lora.safetensors cannot be used: it is not one: its format is None"):
            load_adaptor(tmp_path / "lora.safetensors")

    @pytest.mark.parametrize("header_bytes", [640, 896, 1152, 1408])
    def test_a_header_whose_length_looks_like_a_pickle(self, tmp_path, header_bytes):
        """The length comes first in the file, and 640 is 80 02 in hexadecimals, which old pickles begin with."""
        path, weights = tmp_path / "padded.safetensors", {"weight": torch.zeros(2)}
        paddings = (save(weights, {"note": "x" * count}) for count in range(0, header_bytes, 4))
        path.write_bytes(next(data for data in paddings if int.from_bytes(data[:8], "little") == header_bytes))
        with pytest.raises(ValueError, match="it is not one: its format is None"):
            load_adaptor(path)

    @pytest.mark.parametrize("share", [0.0, 0.0001, 0.1, 0.999])
    def test_truncated(self, good, tmp_path, share):
        bad = tmp_path / "bad.safetensors"
        bad.write_bytes(good.read_bytes()[: int(share * good.stat().st_size)])
        with pytest.raises(ValueError, match=r"has only \d bytes|is damaged or incomplete"):
            load_adaptor(bad)

    def test_a_header_that_lies_about_its_length(self, good, tmp_path):
        bad = tmp_path / "bad.safetensors"
        bad.write_bytes(struct.pack("<Q", 2**62) + good.read_bytes()[8:])
        with pytest.raises(ValueError, match="is damaged or incomplete"):
            load_adaptor(bad)

    @pytest.mark.parametrize("legacy", [True, False])
    def test_a_pickle_is_not_even_opened(self, tmp_path, legacy):
        path = tmp_path / "evil.safetensors"

        class Evil:
            def __reduce__(self):
                return (open, (str(tmp_path / "it ran"), "w"))

        if legacy:
            path.write_bytes(pickle.dumps(Evil()))
        else:
            torch.save(Evil(), path)
        with pytest.raises(ValueError, match=r"it is a pickle \(as .ckpt and .pt files are\)"):
            load_adaptor(path)
        assert not (tmp_path / "it ran").exists()

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_weights_that_are_not_finite(self, good, tmp_path, value):
        weights = load_file(good)
        weights["up.bias"][0] = value
        save_file(weights, tmp_path / "bad.safetensors", to_metadata(DESCRIPTION))
        with pytest.raises(ValueError, match=r"its tensor up.bias holds numbers that are not finite"):
            load_adaptor(tmp_path / "bad.safetensors")

    def test_weights_of_another_type(self, good, tmp_path):
        weights = load_file(good)
        weights["up.bias"] = weights["up.bias"].to(torch.int32)
        save_file(weights, tmp_path / "bad.safetensors", to_metadata(DESCRIPTION))
        with pytest.raises(ValueError, match=r"its tensor up.bias holds I32, but must hold F32, F16, BF16"):
            load_adaptor(tmp_path / "bad.safetensors")


@contextmanager
def little_disk():
    """The system stops every file of this process at 10,000 bytes, as a full disk would; pytest's own output too."""
    resource = pytest.importorskip("resource", reason="needs a system with file size limits")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


class TestSaving:
    def test_a_full_disk_leaves_what_was_there(self, tmp_path):
        path = tmp_path / "a.safetensors"
        path.write_bytes(b"what was there")
        adaptor = trained_adaptor()
        with pytest.raises(OSError, match=r"The adaptor could not be saved as .*a.safetensors"), little_disk():
            save_adaptor(adaptor, path)
        assert [each.name for each in tmp_path.iterdir()] == ["a.safetensors"]
        assert path.read_bytes() == b"what was there"

    def test_a_folder_that_is_not_there(self, tmp_path):
        with pytest.raises(OSError, match=r"could not be saved as .*no/a.safetensors"):
            save_adaptor(trained_adaptor(), tmp_path / "no" / "a.safetensors")

    def test_replaces_a_file_as_a_whole(self, tmp_path):
        path = tmp_path / "a.safetensors"
        for loss in (0.5, 0.25):
            plain = DESCRIPTION
            save_adaptor(
                trained_adaptor(Description(plain.architecture, plain.config, plain.seam, TRAINED, loss)), path
            )
        assert load_adaptor(path).description.loss == 0.25
        assert [each.name for each in tmp_path.iterdir()] == ["a.safetensors"]
        assert json.loads(to_metadata(DESCRIPTION)["loss"]) == 0.5
