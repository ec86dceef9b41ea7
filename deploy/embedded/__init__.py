"""PostgreSQL, an S3 server, the demo's weather API and Airflow on 127.0.0.1, without containers or root."""
