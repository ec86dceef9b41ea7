"""The demo's two sources: hourly rentals for Postgres and hourly weather for the weather API."""
