from tests.unit.sales import blobs, clusters, daily_rows, make_spec, people, snapshot

__all__ = ["blobs", "clusters", "daily_rows", "make_spec", "people", "snapshot"]
