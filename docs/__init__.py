"""The pages of the documentation, and the modules that generate some of them."""
