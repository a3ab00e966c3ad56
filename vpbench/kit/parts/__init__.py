"""Components that come with vpbench: simple motion models and the annotated joints.

They fit the slots of any composed method: `NAME[motion=frozen]`, `NAME[detector=annotated]`.
Importing this package imports neither numpy nor torch.
"""
