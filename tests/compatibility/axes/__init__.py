"""The axes of the compatibility matrix, one file each."""

from . import conditioning, control, families, flows, guidance, patches, samplers, trained

AXES = (samplers, guidance, conditioning, control, patches, flows, families, trained)
CELLS = [cell for axis in AXES for cell in axis.CELLS]
