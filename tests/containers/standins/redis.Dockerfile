FROM evergreen-debian:bookworm
RUN apt-get update && apt-get install --yes --no-install-recommends redis-server \
    && rm -rf /var/lib/apt/lists/* && mkdir /data && chown redis /data
USER redis
WORKDIR /data
VOLUME /data
CMD ["redis-server"]
