"""Evergreen keeps tabular models fresh: ingest, validate, train, gate, promote, score, monitor.

The library never imports Airflow; `dags/` and `plugins/evergreen_airflow` drive it, and so does the
`evergreen` command.
"""

__version__ = "0.1.0"
