# Three images: the server of predictions alone, the sources of the demo, and Evergreen on the official Airflow image.
#   docker build --target serving -t evergreen-serving:0.1.0 .
#   docker build --target demo -t evergreen-demo:0.1.0 .
#   docker build -t evergreen:0.1.0 .
#
# Code belongs to root and to no group that may write, in a folder of root's, so that a task can neither change nor
# replace it. The libraries of Airflow's image belong to its user; compose mounts the whole image read-only.
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

RUN chmod -R u=rwX,go=rX /opt/evergreen \
    && printf '%s\n' '#!/usr/bin/env python' 'import sys' 'from evergreen.cli import main' 'sys.exit(main())' \
        > /usr/local/bin/evergreen \
    && chmod 0755 /usr/local/bin/evergreen \
    && useradd --create-home --uid 50000 evergreen

USER evergreen
CMD ["evergreen", "serve"]

FROM serving AS demo

LABEL org.opencontainers.image.title="Evergreen demo" \
      org.opencontainers.image.description="The sources of Evergreen's demo: simulated rentals and a weather API" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"

COPY deploy/__init__.py /opt/evergreen/include/deploy/
COPY deploy/demo_data/ /opt/evergreen/include/deploy/demo_data/
USER root
RUN chmod -R u=rwX,go=rX /opt/evergreen
USER evergreen
CMD ["python", "-m", "deploy.demo_data"]

FROM ${AIRFLOW_IMAGE}:slim-${AIRFLOW_VERSION}-${PYTHON_TAG}${BASE_DIGEST}

LABEL org.opencontainers.image.title="Evergreen" \
      org.opencontainers.image.description="Airflow pipelines that keep tabular models fresh" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"

USER airflow

# --no-deps: requirements.txt is the whole resolved set. --only-binary: no package's code runs in the build.
# `pip check` fails the build if anything left over from the base image disagrees with that set.
COPY requirements.txt /opt/evergreen/requirements.txt
RUN pip install --no-cache-dir --require-hashes --no-deps --only-binary :all: \
        -r /opt/evergreen/requirements.txt \
    && pip check

COPY dags/ /opt/evergreen/dags/
COPY plugins/ /opt/evergreen/plugins/
COPY include/ /opt/evergreen/include/

# plugins/ is on the path for callbacks, for the logs of tasks and for a shell.
ENV PYTHONPATH=/opt/evergreen/include:/opt/evergreen/plugins \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/evergreen/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/evergreen/plugins \
    AIRFLOW__CORE__LOAD_EXAMPLES=false \
    GX_ANALYTICS_ENABLED=false

# The `evergreen` command runs the code above. `pip install .` would make a second copy of it, and fetch a
# build backend without a hash.
USER root
RUN chmod -R u=rwX,go=rX /opt/evergreen \
    && printf '%s\n' '#!/usr/bin/env python' 'import sys' 'from evergreen.cli import main' 'sys.exit(main())' \
        > /usr/local/bin/evergreen \
    && chmod 0755 /usr/local/bin/evergreen

USER airflow
