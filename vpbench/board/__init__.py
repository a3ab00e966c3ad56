"""The public record of results: bundles of runs, entries of leaderboards, and their checks."""
