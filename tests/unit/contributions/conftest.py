from tests.unit.sales import daily_rows, make_spec, people, snapshot

__all__ = ["daily_rows", "make_spec", "people", "snapshot"]
