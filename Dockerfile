# Two images: the server of predictions alone, and Evergreen on the official Airflow image.
#   docker build --target serving -t evergreen-serving:0.1.0 .
#   docker build -t evergreen:0.1.0 .
#
# Airflow's slim image, because it holds Airflow alone: everything in it is in requirements.txt too, so after the
# install the image has the set of versions that the tests ran with. The full image would keep some sixty
# providers pinned to Airflow's constraint file beside libraries that we pin to other versions, a mixture
# that nobody has tested.
ARG AIRFLOW_IMAGE=apache/airflow
ARG AIRFLOW_VERSION=3.3.2
ARG PYTHON_TAG=python3.12
# Written "@sha256:<digest>", it pins the base image to the byte.
ARG BASE_DIGEST=""
ARG SERVING_IMAGE=python:3.12-slim-bookworm

# The server needs no Airflow: a third of the packages, in the versions of requirements.txt.
FROM ${SERVING_IMAGE} AS serving

LABEL org.opencontainers.image.title="Evergreen serving" \
      org.opencontainers.image.description="Predictions over HTTP by the champions of Evergreen" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"

COPY requirements-serve.txt /opt/evergreen/requirements-serve.txt
RUN pip install --no-cache-dir --require-hashes --no-deps --only-binary :all: \
        -r /opt/evergreen/requirements-serve.txt \
    && pip check

COPY include/ /opt/evergreen/include/
ENV PYTHONPATH=/opt/evergreen/include \
    PYTHONUNBUFFERED=1 \
    GX_ANALYTICS_ENABLED=false

RUN printf '%s\n' '#!/usr/bin/env python' 'import sys' 'from evergreen.cli import main' 'sys.exit(main())' \
        > /usr/local/bin/evergreen \
    && chmod 0755 /usr/local/bin/evergreen \
    && useradd --create-home --uid 50000 evergreen

USER evergreen
CMD ["evergreen", "serve"]

FROM ${AIRFLOW_IMAGE}:slim-${AIRFLOW_VERSION}-${PYTHON_TAG}${BASE_DIGEST}

LABEL org.opencontainers.image.title="Evergreen" \
      org.opencontainers.image.description="Airflow pipelines that keep tabular models fresh" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"

USER airflow

# --no-deps: requirements.txt is the whole resolved set. --only-binary: no package's code runs in the build.
# `pip check` fails the build if anything left over from the base image disagrees with that set.
COPY requirements.txt /opt/airflow/requirements.txt
RUN pip install --no-cache-dir --require-hashes --no-deps --only-binary :all: \
        -r /opt/airflow/requirements.txt \
    && pip check

# The code belongs to root, so that a task cannot change it.
COPY dags/ /opt/airflow/dags/
COPY plugins/ /opt/airflow/plugins/
COPY include/ /opt/airflow/include/

# Airflow finds plugins/ by itself; it is on the path for callbacks and for a shell.
ENV PYTHONPATH=/opt/airflow/include:/opt/airflow/plugins \
    AIRFLOW__CORE__LOAD_EXAMPLES=false

# The `evergreen` command runs the code above. `pip install .` would make a second copy of it, and fetch a
# build backend without a hash.
RUN printf '%s\n' '#!/usr/bin/env python' 'import sys' 'from evergreen.cli import main' 'sys.exit(main())' \
        > /home/airflow/.local/bin/evergreen \
    && chmod 0755 /home/airflow/.local/bin/evergreen

USER airflow
