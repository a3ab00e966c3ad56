"""Five steps of a network on Fabric: `fabric_training.py DEVICES WORK`; the first writes weights.

The batch of a step is the same for any number of devices; each takes its own share of it.
"""

import sys
from pathlib import Path

import torch

from vpbench.api import Pair
from vpbench.core.registry import build
from vpbench.harness.training.stage import train_view
from vpbench.kit import make_fabric, save_state, seeded, to_tensor
from vpbench.testing.clips import sample_task_data
from vpbench_baselines.li.refiner import Refiner

STEPS, BATCH = 5, 8


def main(devices, work):
    build()
    data = train_view(sample_task_data(5, 16, 32, work / f"cache-{devices}"), (0, "toy", "fit"))
    fabric = make_fabric(devices, "cpu", "ddp" if devices > 1 else "auto")
    fabric.launch()
    assert fabric.world_size == devices
    with seeded(0):
        net = Refiner(width=4, levels=1)
    net, adam = fabric.setup(net, torch.optim.Adam(net.parameters(), lr=1e-3))
    batches = data.batches("train", Pair(1, 4), BATCH)
    share = slice(fabric.global_rank, None, fabric.world_size)
    for _ in range(STEPS):
        frames = to_tensor(next(batches).frames, "cpu")[share]
        flow = torch.full((len(frames), 2, 32, 32), 0.5)
        loss = (net(frames[:, 0], flow) - frames[:, 1]).square().mean()
        adam.zero_grad()
        fabric.backward(loss)
        adam.step()
    if fabric.global_rank == 0:
        plain = {k.removeprefix("module."): v for k, v in net.state_dict().items()}
        save_state(work / f"weights-{devices}", plain)
    fabric.barrier()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(int(sys.argv[1]), Path(sys.argv[2]))
