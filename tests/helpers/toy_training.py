"""One of several processes that torchrun starts: trains a toy, and writes the weights.

torchrun --nproc-per-node 2 toy_training.py WEIGHTS.pt CHECKPOINT.pt [ITERATION at which the second one dies]
"""

import os
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests" / "helpers")]

from in_process import load_pack, prepare_host  # noqa: E402

prepare_host(cpu=True)
load_pack()

import torch  # noqa: E402
import toys  # noqa: E402
from train import stop_when_asked  # noqa: E402
from training import plan_for  # noqa: E402

from clockwork_pack.adaptors.training.distil import Distillation  # noqa: E402
from clockwork_pack.adaptors.training.session import train  # noqa: E402
from clockwork_pack.adaptors.training.shares import share_of_torchrun  # noqa: E402


def die_at(iteration):
    step = Distillation.step

    def step_or_die(self):
        if self.iteration == iteration:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(self)

    Distillation.step = step_or_die


def main(weights, checkpoint, iteration=None):
    stop_when_asked()
    with share_of_torchrun() as share:
        if iteration is not None and share.rank == 1:
            die_at(int(iteration))
        plan = plan_for(toys.model_of(toys.TINIEST), checkpoint=Path(checkpoint), on_policy=True)
        trained = train(plan, share=share)
        # Written by each: the other one's must not differ.
        torch.save(trained.adaptor.network.state_dict(), f"{weights}.{share.rank}")


if __name__ == "__main__":
    main(*sys.argv[1:])
