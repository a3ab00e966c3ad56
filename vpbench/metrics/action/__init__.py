"""Recognition of actions in predicted clips."""
