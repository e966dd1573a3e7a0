"""Clockwork without its engine: the host runs every block of every evaluation, and one patch does the rest.

Where h enters the first kept output block, an adaptor evaluation overwrites it with what the last full evaluation
had there. Whatever the blocks before it computed then has no influence on the picture: just what leaving them
out must amount to. Nothing here shares code with the engine.
"""

from __future__ import annotations

from collections import Counter

import torch
from comfy.patcher_extension import WrappersMP


class SeamReference:
    """A full evaluation every `clock`; `kept` output blocks see fresh features, and nobody else matters."""

    def __init__(self, clock, kept):
        self.clock, self.kept = clock, kept
        self.evaluations = []  # of all runs; each is the list of its UNet calls' kinds, "F" or "a"

    def patch(self, model):
        """A clone of `model` that samples by the reference; its patch stands before all others."""
        patched = model.clone()
        patched.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, "seam", self._run)
        patched.add_wrapper_with_key(WrappersMP.PREDICT_NOISE, "seam", self._evaluation)
        patches = patched.model_options["transformer_options"].setdefault("patches", {})
        # A function, as a clone of the model copies the owner of a bound method.
        patches.setdefault("output_block_patch", []).insert(0, lambda *arguments: self._overwrite(*arguments))
        self.first_kept = len(model.model.diffusion_model.output_blocks) - self.kept
        return patched

    @property
    def kinds(self):
        """The evaluations of all runs, such as "FaFa"."""
        return "".join("a" if "a" in calls and "F" not in calls else "F" for calls in self.evaluations)

    def _run(self, executor, *args, **kwargs):
        self.features, self.index = {}, 0
        try:
            return executor(*args, **kwargs)
        finally:
            self.features = {}

    def _evaluation(self, executor, *args, **kwargs):
        self.full = self.index % self.clock == 0
        self.index += 1
        self.seen = Counter()
        self.evaluations.append([])
        return executor(*args, **kwargs)

    def _overwrite(self, h, skip, options):
        if options["block"] != ("output", self.first_kept):
            return h, skip
        streams = self._streams(options)
        batch, *size = options["original_shape"]
        sizes = (batch // len(streams), size, skip.shape[1:])
        known = [self.features.get(stream, (None, None)) for stream in streams]
        if self.full or any(remembered_sizes != sizes for remembered_sizes, _ in known):
            self.evaluations[-1].append("F")
            self.features.update(zip(streams, ((sizes, part.clone()) for part in h.chunk(len(streams))), strict=True))
            return h, skip
        self.evaluations[-1].append("a")
        return torch.cat([features for _, features in known]), skip

    def _streams(self, options):
        """(uuid, side, context window, how many times seen in this evaluation) of each conditioning in the batch."""
        window = getattr(options.get("context_window"), "index_list", ())
        streams = []
        for name in zip(options["uuids"], options["cond_or_uncond"], strict=True):
            streams.append((*name, tuple(window), self.seen[name, tuple(window)]))
            self.seen[name, tuple(window)] += 1
        return streams
