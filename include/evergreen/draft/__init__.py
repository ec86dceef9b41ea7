"""A pipeline's folder drafted from a source: every decision a guess from its first rows, told as one."""
