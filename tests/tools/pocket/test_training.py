"""The recipe of the demo model, on made-up icons: it resumes exactly, and what it exports is a model."""

from dataclasses import replace

import pytest
import torch

from clockwork_pack.demo_model import load_demo_model, read_pocket_file
from clockwork_pack.tools.pocket.data import Captions, Pictures
from clockwork_pack.tools.pocket.export import export
from clockwork_pack.tools.pocket.geometry import GEOMETRIES
from clockwork_pack.tools.pocket.icons import SIDE, IconSet
from clockwork_pack.tools.pocket.train import Budget, load_checkpoint, train
from clockwork_pack.tools.pocket.trainer import Settings, Trainer

CPU = torch.device("cpu")
SETTINGS = Settings(total_updates=4, batch=2, precision="float32")


def icons(*names: str) -> IconSet:
    generator = torch.Generator().manual_seed(0)
    rgba = torch.randint(0, 256, (len(names), 4, SIDE, SIDE), generator=generator, dtype=torch.uint8)
    return IconSet(names, rgba)


@pytest.fixture
def trainer():
    """Makes trainers that are all the same at their start."""
    return lambda settings=SETTINGS, names=("tiger", "red apple"): Trainer(settings, Pictures(icons(*names), CPU), CPU)


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {**trainer.networks.state_dict(), **{f"average.{k}": v for k, v in trainer.average.state_dict().items()}}


def test_a_stopped_run_resumes_to_the_same_weights(trainer, tmp_path):
    checkpoint = tmp_path / "run.pt"
    uninterrupted = trainer()
    train(uninterrupted, tmp_path / "whole.pt", Budget(), report=lambda _: None)
    train(trainer(), checkpoint, Budget(updates=2), report=lambda _: None)
    resumed = trainer()
    resumed.load_state(load_checkpoint(checkpoint))
    assert resumed.update == 2
    train(resumed, checkpoint, Budget(), report=lambda _: None)
    assert resumed.finished
    expected = weights(uninterrupted)
    assert all(torch.equal(value, expected[name]) for name, value in weights(resumed).items())


def test_an_update_changes_the_weights_and_the_same_seed_the_same_way(trainer):
    first, second, other = trainer(), trainer(), trainer(replace(SETTINGS, seed=1))
    before = {name: value.clone() for name, value in weights(first).items()}
    losses = [each.step() for each in (first, second, other)]
    assert torch.equal(losses[0], losses[1])
    assert losses[0] != losses[2]
    assert any(not torch.equal(value, before[name]) for name, value in weights(first).items())


@pytest.mark.parametrize("geometry", list(GEOMETRIES))
def test_the_exported_file_is_a_model_of_the_host_that_computes_the_same(trainer, tmp_path, geometry):
    used = trainer(replace(SETTINGS, geometry=geometry))
    used.step()
    out = tmp_path / "pocket.safetensors"
    export(used.state(), out)
    file = read_pocket_file(out)
    assert (file.updates, file.icons) == (1, ("tiger", "red apple"))
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    demo = load_demo_model(out)
    context, pooled = demo.clip.encode_from_tokens(demo.clip.tokenize("red apple"), return_pooled=True)
    x = torch.randn(1, 12, 32, 32, generator=torch.Generator().manual_seed(0))
    time = torch.tensor([500.0])
    y = demo.model.model.encode_adm(pooled_output=pooled, width=256, height=256)
    tokens = Captions(("tiger", "red apple")).tokens[1, :1]
    with torch.no_grad():
        theirs = demo.model.model.diffusion_model(x, timesteps=time, context=context, y=y)
        # The file holds half precision.
        torch.testing.assert_close(theirs, used.average(x, time, tokens), rtol=1e-2, atol=1e-3)


def test_a_new_run_takes_over_a_files_weights_and_counts_its_updates(trainer, tmp_path):
    taught = trainer()
    taught.step()
    out = tmp_path / "pocket.safetensors"
    export(taught.state(), out)
    # One icon more: its tokens begin anew, all others keep their rows.
    fresh = trainer(names=("tiger", "red apple", "rocket"))
    fresh.start_from(read_pocket_file(out))
    assert fresh.state()["prior_updates"] == 1
    expected = taught.average.unet.state_dict()
    assert all(torch.equal(w, expected[name].half().float()) for name, w in fresh.networks.unet.state_dict().items())


def test_another_geometry_takes_over_the_text_encoder_alone(trainer, tmp_path):
    taught = trainer()
    taught.step()
    out = tmp_path / "pocket.safetensors"
    export(taught.state(), out)
    fresh = trainer(replace(SETTINGS, geometry="pocket-xl"))
    fresh.start_from(read_pocket_file(out))
    ours, theirs = fresh.networks.state_dict(), taught.average.state_dict()
    position = "text.embeddings.position_embedding.weight"
    assert torch.equal(ours[position], theirs[position].half().float())
    assert not ours["unet.out.2.weight"].any()


@pytest.mark.parametrize(
    ("changed", "names", "message"),
    [
        (replace(SETTINGS, batch=3), ("tiger", "red apple"), "has batch 2, not 3"),
        (SETTINGS, ("tiger", "rocket"), "trained on other icons"),
    ],
)
def test_resuming_with_something_else_is_refused(trainer, changed, names, message):
    state = trainer().state()
    with pytest.raises(ValueError, match=message):
        trainer(changed, names).load_state(state)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("batch", 0, "batch is 0"),
        ("learning_rate", -1.0, "learning_rate is -1.0"),
        ("precision", "int8", "'int8'"),
        ("geometry", "flux", "'flux'"),
    ],
)
def test_bad_settings(name, value, message):
    with pytest.raises(ValueError, match=message):
        replace(SETTINGS, **{name: value})


def test_a_missing_checkpoint(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        load_checkpoint(tmp_path / "none.pt")
