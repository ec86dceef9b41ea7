"""Settings of the containers, before anything of them starts."""
