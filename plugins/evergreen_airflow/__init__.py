"""Evergreen's side of Airflow: operators, assets and what the DAG files share. The work is in `evergreen`."""
