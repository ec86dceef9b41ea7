# The S3 server of the embedded stack, on SeaweedFS's port, with its address for health.
FROM evergreen-debian:bookworm
COPY requirements-s3.txt /tmp/
RUN python -m venv /opt/s3 && /opt/s3/bin/pip install --no-cache-dir --no-deps --require-hashes -r /tmp/requirements-s3.txt \
    && mkdir /data
COPY s3.py /opt/s3/healthy_s3.py
ENV PYTHONPATH=/opt/s3 BIND_HOST=0.0.0.0 GATEWAY_PORT=8333 SERVICES=s3 AUTH=true MINISTACK_REGION=us-east-1 \
    S3_PERSIST=1 S3_DATA_DIR=/data IOT_MTLS_ENABLED=0 SFTP_ENABLED=0 DOCKER_HOST=unix:///nowhere LOG_LEVEL=WARNING
VOLUME /data
# The command is SeaweedFS's: it is for `sh -c` a name and arguments that nobody reads.
ENTRYPOINT ["/bin/sh", "-c", "exec /opt/s3/bin/python -m uvicorn healthy_s3:app --host 0.0.0.0 --port 8333 --http httptools --no-access-log --log-level warning"]
