"""What runs Evergreen on one machine: the embedded stack and the demo's data."""
