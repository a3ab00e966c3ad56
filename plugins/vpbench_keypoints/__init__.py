"""The reference method as a plugin: vpbench reaches it through entry points only."""
