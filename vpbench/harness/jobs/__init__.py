"""Paths work: the scheduler, workers, executors."""
