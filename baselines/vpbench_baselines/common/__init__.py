"""What the baselines share: gradients taken apart, remarks about a stage."""
