"""`villegas`: long-term video prediction via hierarchical prediction, rewritten.

Villegas, Yang, Zou, Sohn, Lin and Lee, ICML 2017. Joints are detected in the given frames, a
recurrent network predicts their motion, and a generator draws every future frame from the last
given one by analogy: its features, minus those of its pose, plus those of the wanted pose.

A composed method: three parts, each trained by itself and each of use in other methods.

- `villegas-detector`: a small heat-map regressor, trained on the joints of the train split;
- `villegas-motion`: the pose LSTM;
- `villegas-translator`: the generator.

`villegas[detector=annotated]` takes the true poses of the given frames, `villegas[detector=NAME]`
unsupervised keypoints. Where this differs from the authors' code is listed in `spec.DEVIATIONS`.
"""
