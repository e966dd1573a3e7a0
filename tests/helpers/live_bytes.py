"""Counts the bytes of all tensors alive that were made inside a block, on any device, the meta device too."""

from __future__ import annotations

import weakref

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveBytes(TorchDispatchMode):
    """now: bytes of the storages alive. peak: the most since the last `start_peak`."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: dict[int, weakref.ref] = {}

    def start_peak(self) -> None:
        self.peak = self.now

    def __torch_dispatch__(self, func, _types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        # A view of a weight, say, is nothing new.
        given = {storage._cdata for storage in _storages((args, kwargs))}
        for storage in _storages(result):
            if storage._cdata not in given | self._known.keys():
                self._count(storage)
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        size = storage.nbytes()
        self.now += size
        self.peak = max(self.peak, self.now)

        def died(_reference):
            self.now -= size
            del self._known[key]

        # Views share their storage's one Python object: it dies with the last of them.
        self._known[key] = weakref.ref(storage, died)


def _storages(values: object) -> list[torch.UntypedStorage]:
    return [leaf.untyped_storage() for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor)]
