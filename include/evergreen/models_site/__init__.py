"""Pages of models: all pipelines, one with its nights and decisions, a version, and two side by side.

What is shown is read by `read` and rendered by pure functions. A site serves the pages, and decides where:
they link to one another relative to their own address.
"""
