"""What the baselines share: gradients, blocks, windows on the device, trainings, checks, notes."""
