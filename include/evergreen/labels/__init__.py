"""Labels that come later than their rows: read when they are due, joined, and known only from then on."""
