"""A function over items: in this process, by processes of this machine, on Dask or on Spark."""
