# What of Airflow's image compose relies on: the user, the folders, pip for that user, dumb-init, the entrypoint.
FROM evergreen-debian:bookworm
RUN apt-get update && apt-get install --yes --no-install-recommends dumb-init \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 50000 --gid 0 airflow \
    && mkdir -p /opt/airflow/dags /opt/airflow/logs \
    && chown -R airflow:0 /opt/airflow && chmod -R g+rwX /opt/airflow
COPY airflow-entrypoint /entrypoint
RUN chmod 0755 /entrypoint
ENV PATH=/home/airflow/.local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME=/home/airflow \
    AIRFLOW_HOME=/opt/airflow \
    PIP_USER=true \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    DUMB_INIT_SETSID=1 \
    LANG=C.UTF-8
WORKDIR /opt/airflow
USER airflow
ENTRYPOINT ["/usr/bin/dumb-init", "--", "/entrypoint"]
