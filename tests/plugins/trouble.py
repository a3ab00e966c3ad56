"""Two numbers, trained with the loop of the kit, that meet trouble where they are told to."""

from vpbench.api import Capabilities, MethodSpec, StageSpec

METHOD = MethodSpec(
    "trouble",
    f"{__file__}:Trouble",
    "two numbers, trained with the loop of the kit",
    capabilities=Capabilities(trainable=True),
    params={"steps": 8, "batch": 4, "at": 5, "what": "nothing", "ahead": 0},
    stages=(StageSpec("all", params=("steps", "batch", "at", "what")),),
)


def __getattr__(name):
    """The torch half is made at first use."""
    if name != "Trouble":
        raise AttributeError(name)
    return _make()


def _make():
    import os
    import signal
    from pathlib import Path

    import numpy as np
    import torch
    from torch import nn

    from vpbench.api import Augment, Pair
    from vpbench.kit import Training, load_state, save_state, to_tensor, training_steps

    class Trouble:
        def __init__(self, task, params, slots):
            self.params = params
            self.net = nn.Linear(1, 1)
            with torch.no_grad():
                self.net.weight.fill_(0.5)
                self.net.bias.fill_(0.1)

        def fit(self, stage, data, ctx):
            adam = torch.optim.Adam(self.net.parameters(), 1e-2)
            training = Training(
                "trouble:all",
                {"net": self.net},
                {"adam": adam},
                int(self.params["steps"]),
                ("batch", "width"),
            )

            def batches(done):
                size, augment = int(self.params["batch"]), Augment(flip=True)
                return data.batches("train", Pair(1, 4), size, augment, start_step=done)

            ahead = int(self.params["ahead"])
            with training:
                for step, batch in training_steps(ctx, training, batches, ahead):
                    training.log({"loss": self._step(step, batch, adam)}, batch.index)

        def _step(self, k, batch, adam):
            frames = to_tensor(batch.frames).mean((2, 3, 4))
            loss = (self.net(frames[:, :1]) - frames[:, 1:]).square().mean()
            trouble = self.params["what"] if k + 1 == int(self.params["at"]) else ""
            if trouble == "nan":
                loss = loss * float("nan")
            if trouble == "memory":
                torch.empty(1 << 60)
            flag = Path(os.environ.get("TROUBLE_KILL", ""))
            if flag.name and k == 5 and not flag.exists():
                flag.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            adam.zero_grad()
            loss.backward()
            adam.step()
            return loss.item()

        def predict(self, given, horizon, seeds):
            last = given.frames[:, -1:, None]
            return np.repeat(np.repeat(last, seeds.shape[1], 1), horizon, 2)

        def save(self, stage, folder):
            save_state(folder, self.net.state_dict())

        def load(self, stage, folder, device):
            self.net.load_state_dict(load_state(folder, device))

    return Trouble
