"""Inputs: tasks with their clips at the task's size, weights, checkpoints."""
