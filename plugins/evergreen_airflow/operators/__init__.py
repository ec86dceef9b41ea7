"""One operator per step of the lifecycle, each in a module named by its verb."""
