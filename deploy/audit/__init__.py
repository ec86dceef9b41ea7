"""What is known against the packages and the history: `make audit`. It needs the environment .venv-audit."""
