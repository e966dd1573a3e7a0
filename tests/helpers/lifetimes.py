"""Whether anything of ours outlives a run, and whether a run left its model as it was."""

from __future__ import annotations

import gc
import weakref
from contextlib import contextmanager

import torch

from clockwork_pack.clockwork_core.run import Run
from clockwork_pack.clockwork_core.trace import Trace


class Watch:
    """Weak references to every run that began, and to all features that any of them ever held."""

    def __init__(self) -> None:
        self.references: list[weakref.ref] = []

    def alive(self) -> list:
        # A collection takes longer than a toy's run: only where something waits for one.
        if any(reference() is not None for reference in self.references):
            gc.collect()
        return [reference() for reference in self.references if reference() is not None]

    def assert_all_dead(self) -> None:
        """Everything seen so far is gone; and something was seen."""
        assert self.references, "no run began"
        assert self.alive() == []
        self.references.clear()


@contextmanager
def watch_lifetimes(monkeypatch):
    """Watch all runs inside the block."""
    watch = Watch()
    remember, begin = Trace.remember, Run.__init__

    def watched_remember(self, stream, features):
        watch.references.append(weakref.ref(features.r_out))
        remember(self, stream, features)

    def watched_begin(self, *args, **kwargs):
        watch.references.append(weakref.ref(self))
        begin(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Trace, "remember", watched_remember)
        patch.setattr(Run, "__init__", watched_begin)
        yield watch


def condition_of(patched) -> dict:
    """All of a MODEL that a run could have changed; compare two with ==."""
    network = patched.model.diffusion_model
    return {
        "options": repr(patched.model_options),
        "wrappers": repr(patched.wrappers),
        "injected": patched.is_injected,
        "object patches": repr(patched.object_patches),
        "backups": (sorted(patched.backup), sorted(patched.object_patches_backup)),
        "hooks": _hooks_of(network),
        "weights": [(name, weight.data_ptr(), weight._version) for name, weight in network.named_parameters()],
    }


def _hooks_of(network: torch.nn.Module) -> list:
    """Torch hooks, and functions that replace a module's own, by module."""
    found = []
    for name, module in network.named_modules():
        hooks = len(module._forward_hooks) + len(module._forward_pre_hooks)
        replaced = [key for key in vars(module) if key in ("forward", "_forward")]
        if hooks or replaced:
            found.append((name, hooks, replaced))
    return found
