"""A context that asks a stage to stop early."""

from vpbench.harness.training.context import StageContext


class Stopping(StageContext):
    """Asks to stop after some steps."""

    def __init__(self, stop_at, **fields):
        super().__init__(**{k: v for k, v in fields.items() if not k.startswith("_")})
        self.stop_at = stop_at

    @property
    def should_stop(self):
        return self._step >= self.stop_at
