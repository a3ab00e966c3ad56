"""What the baselines share: gradients taken apart, notes about a stage."""
