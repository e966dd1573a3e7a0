"""What stands in for the low-res part of the UNet. May import `clockwork_core`, never the other way round."""

from .description import ARCHITECTURES, Description, TrainedFor, describe
from .identity import Identity
from .learned import LearnedAdaptor, untrained

__all__ = [
    "ARCHITECTURES",
    "Description",
    "Identity",
    "LearnedAdaptor",
    "TrainedFor",
    "describe",
    "untrained",
]
