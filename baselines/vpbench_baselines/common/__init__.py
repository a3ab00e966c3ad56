"""What the baselines share: a resumable training loop, compact weights, remarks about a stage."""
