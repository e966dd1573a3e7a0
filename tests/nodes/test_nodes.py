"""The nodes as the host sees them: their contract, and their answers to bad input."""

import asyncio
import json
from pathlib import Path

import folder_paths
import pytest
import torch
import toys
from clockwork import kinds
from comfy_api.latest import io

import clockwork_pack
from clockwork_pack.clockwork_core.schedule import DenseEarly, EveryN, ExplicitList, FullSteps
from clockwork_pack.comparison.variants import parse_variants
from clockwork_pack.display.timeline import HEIGHT, WIDTH
from clockwork_pack.nodes import NODES
from clockwork_pack.nodes.apply import ClockworkApply
from clockwork_pack.nodes.compare import ClockworkCompare
from clockwork_pack.nodes.report import NO_CLOCKWORK, NO_DATA, ClockworkReport
from clockwork_pack.nodes.schedule import ClockworkSchedule

DEFAULTS = {"clock": 2, "cut": "stage 1", "kept_blocks": 3, "start_percent": 0.0, "end_percent": 1.0}
OPTIONAL_DEFAULTS = {"reuse_control": True}
SCHEDULE_DEFAULTS = {
    "mode": "every N",
    "clock": 2,
    "offset": 0,
    "pattern": "1000100100",
    "full_steps": "0, 1, 2, 5, 9",
    "full_passes": 8,
}

CONTRACT = {
    "ClockworkApply": (
        "Clockwork",
        {
            "model": "MODEL",
            "clock": "INT",
            "cut": "COMBO",
            "kept_blocks": "INT",
            "start_percent": "FLOAT",
            "end_percent": "FLOAT",
            "schedule": "CLOCKWORK_SCHEDULE",
            "adaptor": "CLOCKWORK_ADAPTOR",
            "reuse_control": "BOOLEAN",
        },
        ["MODEL"],
    ),
    "ClockworkSchedule": (
        "Clockwork Schedule",
        {
            "mode": "COMBO",
            "clock": "INT",
            "offset": "INT",
            "pattern": "STRING",
            "full_steps": "STRING",
            "full_passes": "INT",
        },
        ["CLOCKWORK_SCHEDULE"],
    ),
    "ClockworkLoadAdaptor": ("Load Clockwork Adaptor", {"adaptor_name": "COMBO"}, ["CLOCKWORK_ADAPTOR"]),
    "ClockworkSaveAdaptor": (
        "Save Clockwork Adaptor",
        {"adaptor": "CLOCKWORK_ADAPTOR", "filename_prefix": "STRING"},
        [],
    ),
    "ClockworkFitAdaptor": (
        "Fit Clockwork Adaptor",
        {
            "model": "MODEL",
            "prompts": "STRING",
            "latent": "LATENT",
            "steps": "INT",
            "sampler_name": "COMBO",
            "scheduler": "COMBO",
            "cfg": "FLOAT",
            "clock": "INT",
            "cut": "COMBO",
            "kept_blocks": "INT",
            "pictures": "INT",
            "memory_limit": "FLOAT",
            "seed": "INT",
            "clip": "CLIP",
            "positive": "CONDITIONING",
            "negative": "CONDITIONING",
            "prompts_file": "STRING",
        },
        ["CLOCKWORK_ADAPTOR", "STRING"],
    ),
    "ClockworkTrainAdaptor": (
        "Train Clockwork Adaptor",
        {
            "model": "MODEL",
            "prompts": "STRING",
            "latent": "LATENT",
            "steps": "INT",
            "sampler_name": "COMBO",
            "scheduler": "COMBO",
            "cfg": "FLOAT",
            "clock": "INT",
            "cut": "COMBO",
            "kept_blocks": "INT",
            "architecture": "COMBO",
            "loss": "COMBO",
            "iterations": "INT",
            "batch_size": "INT",
            "learning_rate": "FLOAT",
            "trajectories": "INT",
            "on_policy": "BOOLEAN",
            "memory_limit": "FLOAT",
            "seed": "INT",
            "clip": "CLIP",
            "positive": "CONDITIONING",
            "negative": "CONDITIONING",
            "prompts_file": "STRING",
            "checkpoint": "STRING",
            "most_steps": "INT",
            "most_clock": "INT",
        },
        ["CLOCKWORK_ADAPTOR", "IMAGE", "LOSS_MAP", "STRING"],
    ),
    "ClockworkReport": ("Clockwork Report", {"model": "MODEL", "latent": "LATENT"}, ["LATENT", "STRING", "IMAGE"]),
    "ClockworkCompare": (
        "Clockwork Compare",
        {
            "model": "MODEL",
            "positive": "CONDITIONING",
            "negative": "CONDITIONING",
            "latent": "LATENT",
            "seed": "INT",
            "seed_count": "INT",
            "steps": "INT",
            "cfg": "FLOAT",
            "sampler_name": "COMBO",
            "scheduler": "COMBO",
            "denoise": "FLOAT",
            "variants": "STRING",
            "cut": "COMBO",
            "kept_blocks": "INT",
            "schedule": "CLOCKWORK_SCHEDULE",
            "adaptor": "CLOCKWORK_ADAPTOR",
            "vae": "VAE",
        },
        ["STRING", "IMAGE", "IMAGE"],
    ),
    "ClockworkLoadDemoModel": ("Load Clockwork Demo Model", {}, ["MODEL", "CLIP", "VAE"]),
}
"""Saved in users' workflow files: never change an entry without a migration."""


def apply(model, **changes):
    return ClockworkApply.execute(model, **{**DEFAULTS, **changes}).result[0]


def schedule(**changes):
    return ClockworkSchedule.execute(**{**SCHEDULE_DEFAULTS, **changes}).result[0]


class TestContract:
    def test_ids_inputs_and_outputs(self):
        found = {}
        for node in NODES:
            schema = node.define_schema()
            inputs = {each.id: each.get_io_type() for each in schema.inputs}
            found[schema.node_id] = (schema.display_name, inputs, [each.get_io_type() for each in schema.outputs])
        assert found == CONTRACT

    def test_the_host_gets_all_nodes_from_the_entry_point(self):
        extension = asyncio.run(clockwork_pack.comfy_entrypoint())
        assert asyncio.run(extension.get_node_list()) == NODES

    @pytest.mark.parametrize("node", NODES, ids=lambda node: node.__name__)
    def test_each_input_has_a_tooltip_and_each_node_a_description(self, node):
        schema = node.GET_SCHEMA()
        assert schema.description
        assert all(each.tooltip for each in schema.inputs)

    def test_defaults(self):
        defaults = {each.id: each.default for each in ClockworkApply.define_schema().inputs if hasattr(each, "default")}
        assert defaults == {**DEFAULTS, **OPTIONAL_DEFAULTS}
        clock = next(each for each in ClockworkApply.define_schema().inputs if each.id == "clock")
        assert isinstance(clock, io.Int.Input)
        assert (clock.min, clock.max) == (1, 64)

    def test_the_default_variants_of_a_comparison_fit_its_default_steps(self):
        defaults = {each.id: getattr(each, "default", None) for each in ClockworkCompare.define_schema().inputs}
        names = [variant.name for variant in parse_variants(defaults["variants"], defaults["steps"])]
        assert names == ["uncached", "clock 2", "clock 3", "clock 2 extrapolation", "steps 13", "steps 10"]


class TestApply:
    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({}, "FaFaFa"),
            ({"clock": 3}, "FaaFaa"),
            ({"cut": "stage 2"}, "FaFaFa"),
            ({"cut": "custom", "kept_blocks": 1}, "FaFaFa"),
            ({"start_percent": 0.5}, "FFFaFa"),
            ({"end_percent": 0.5}, "FaFFFF"),
        ],
    )
    def test_settings(self, changes, expected):
        patched = apply(toys.toy_model("sd15"), **changes)
        toys.sample(patched)
        assert kinds(patched) == expected

    def test_a_schedule_replaces_the_clock(self):
        patched = apply(toys.toy_model("sd15"), clock=7, schedule=schedule(mode="explicit list", pattern="110"))
        toys.sample(patched)
        assert kinds(patched) == "FFaFFa"

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"clock": 0}, "clock is 0, but must lie between 1"),
            ({"clock": 65}, "clock is 65"),
            ({"cut": "stage 3"}, "cut is 'stage 3', but must be one of stage 1, stage 2, custom"),
            ({"cut": "custom", "kept_blocks": 0}, "kept_blocks is 0, but this UNet has 12 .* choose 1 to 11"),
            ({"cut": "custom", "kept_blocks": 12}, "kept_blocks is 12, but this UNet has 12 .* choose 1 to 11"),
            ({"start_percent": 0.8, "end_percent": 0.2}, "start_percent 0.8 lies after end_percent 0.2"),
            ({"end_percent": 2.0}, "end_percent is 2.0, but must lie between 0 and 1"),
        ],
    )
    def test_bad_values(self, changes, message):
        model = toys.toy_model("sd15")
        with pytest.raises(ValueError, match=message):
            apply(model, **changes)
        assert not any(model.wrappers.values())

    def test_a_model_that_is_no_unet(self):
        with pytest.raises(ValueError, match="Clockwork cannot cut the model Flux"):
            apply(toys.toy_transformer())


class TestSchedule:
    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({}, EveryN(2)),
            ({"clock": 4, "offset": 3}, EveryN(4, 3)),
            ({"mode": "explicit list", "pattern": " 1001 "}, ExplicitList("1001")),
            ({"mode": "full steps"}, FullSteps(frozenset({0, 1, 2, 5, 9}))),
            ({"mode": "dense early", "full_passes": 5}, DenseEarly(5)),
        ],
    )
    def test_modes(self, changes, expected):
        assert schedule(**changes) == expected

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"mode": "sometimes"}, "mode is 'sometimes', but must be one of every N, explicit list"),
            ({"mode": "explicit list", "pattern": "0101"}, "must begin with 1"),
            ({"mode": "explicit list", "pattern": "10a1"}, "contains 'a'; only 1 .* and 0"),
            ({"mode": "full steps", "full_steps": "1, 2"}, "must contain 0"),
            ({"mode": "full steps", "full_steps": ""}, "must contain 0"),
            ({"offset": 2}, "offset is 2, but with clock 2"),
        ],
    )
    def test_bad_values(self, changes, message):
        with pytest.raises(ValueError, match=message):
            schedule(**changes)

    def test_a_value_that_the_mode_does_not_use_may_be_anything(self):
        assert schedule(pattern="not used") == EveryN(2)


class TestReport:
    def run(self, model, latent):
        output = ClockworkReport.execute(model, {"samples": latent})
        picture = output.result[2]
        assert (picture.shape, picture.dtype) == ((1, HEIGHT, WIDTH, 3), torch.float32)
        assert 0 <= picture.min() < picture.max() <= 1
        (shown,) = output.ui["images"]
        assert (Path(folder_paths.get_temp_directory()) / shown["subfolder"] / shown["filename"]).is_file()
        return output.result[0]["samples"], output.result[1], json.loads(output.ui["clockwork_report"][0])

    def test_text_and_data(self):
        patched = apply(toys.toy_model("sd15"))
        latent = toys.sample(patched)
        passed, text, data = self.run(patched, latent)
        assert passed is latent
        assert "6 evaluations, 3 full + 3 with the adaptor (identity)" in text
        assert (data["evaluations"], data["full"], data["adaptor_evaluations"]) == (6, 3, 3)
        assert data["finished"]

    def test_two_samplers_with_one_model_keep_their_reports_apart(self):
        patched = apply(toys.toy_model("sd15"))
        first, second = toys.sample(patched, steps=6), toys.sample(patched, steps=4)
        assert self.run(patched, first)[2]["evaluations"] == 6
        assert self.run(patched, second)[2]["evaluations"] == 4

    def test_a_changed_latent_gets_the_latest_report(self):
        patched = apply(toys.toy_model("sd15"))
        toys.sample(patched, steps=6)
        latent = toys.sample(patched, steps=4)
        assert self.run(patched, latent * 2)[2]["evaluations"] == 4

    def test_no_data_yet(self):
        _, text, data = self.run(apply(toys.toy_model("sd15")), torch.zeros(1, 4, 8, 8))
        assert (text, data) == (NO_DATA, None)

    def test_model_without_clockwork(self):
        _, text, data = self.run(toys.toy_model("sd15"), torch.zeros(1, 4, 8, 8))
        assert (text, data) == (NO_CLOCKWORK, None)
