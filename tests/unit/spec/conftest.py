from tests.unit.sales import clusters, make_spec, snapshot

__all__ = ["clusters", "make_spec", "snapshot"]
