"""What stands in for the low-res part of the UNet. May import `clockwork_core`, never the other way round."""

from .description import ARCHITECTURES, TRAINABLE, Description, TrainedFor, describe
from .extrapolation import Extrapolation
from .identity import Identity
from .learned import LearnedAdaptor, untrained

# The adaptors that need no file, by the names that workflows hold.
BUILT_IN = {"identity": Identity, "extrapolation": Extrapolation}

__all__ = [
    "ARCHITECTURES",
    "BUILT_IN",
    "TRAINABLE",
    "Description",
    "Extrapolation",
    "Identity",
    "LearnedAdaptor",
    "TrainedFor",
    "describe",
    "untrained",
]
