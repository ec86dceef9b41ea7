"""What the changes since a revision of git touch: told from the folders alone, without executing them."""
