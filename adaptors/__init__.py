"""What stands in for the low-res part of the UNet. May import `clockwork_core`, never the other way round."""

from .identity import Identity

__all__ = ["Identity"]
