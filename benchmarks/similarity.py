"""How much the features of neighbouring evaluations differ, by resolution level, at 8, 20 and 50 steps.

Measured is ||f(t) - f(t-1)|| / ||f(t)|| of the last output block of each level, cond and uncond, without Clockwork:
what an identity adaptor gets wrong when it acts at that level.

    ./run bench similarity [--model FILE] [--cases N] [--split tuning|held-out]

Writes benchmarks/results/similarity-MODEL.json and docs/images/yardsticks-similarity-MODEL.png.
"""

from __future__ import annotations

from _features import main

if __name__ == "__main__":
    main("similarity", __doc__ or "", cases=16)
