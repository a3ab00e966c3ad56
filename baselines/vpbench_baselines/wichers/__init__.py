"""`wichers`: hierarchical long-term video prediction without supervision, rewritten.

Wichers, Villegas, Erhan and Lee, ICML 2018. A network encodes each frame as a short vector, a
recurrent network predicts the vectors that follow, and an analogy network draws a frame from
the first given frame, its encoding and a predicted one. No labels, no poses.

Variants, each a row of its own:

- `wichers`: EPVA, then a second stage with an adversary on sequences of encodings;
- `wichers[variant=epva]`: the first stage alone, which draws no noise;
- `wichers[variant=e2e]`: one loss on predicted frames; the paper's end-to-end comparison.

Where this differs from the authors' code is listed in `spec.DEVIATIONS`.
"""
