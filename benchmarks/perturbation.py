"""The paper's perturbation analysis (figures 2, 12, 13): how much the picture suffers when features are disturbed.

From a start step on, the output of the last block of one resolution level is replaced by a mix of itself and noise of
the same mean and deviation; the distance of the final latent to the undisturbed one is measured.

    ./run bench perturbation [--model FILE] [--cases N] [--split tuning|held-out]

Writes benchmarks/results/perturbation-MODEL.json and docs/images/yardsticks-perturbation-MODEL.png.
"""

from __future__ import annotations

from _features import main

if __name__ == "__main__":
    main("perturbation", __doc__ or "", cases=4)
