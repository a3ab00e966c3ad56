"""How things move: statistics of optical flow that need no weights."""
