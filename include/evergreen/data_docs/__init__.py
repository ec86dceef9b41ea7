"""Data Docs: a page for every validation run, and an index of them."""
