"""Job execution: the scheduler, workers, executors."""
