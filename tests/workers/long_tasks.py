"""A DAG file of the tests: tasks that last until a file is there, and one that lasts for ten seconds."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG, task

from evergreen.stages import TRAIN

START = datetime(2011, 1, 1, tzinfo=UTC)

# As many trainings as tasks may run.
with DAG("long_trainings", schedule=None, start_date=START, catchup=False):
    for number in range(3 * max(2, os.cpu_count() or 1)):

        @task(task_id=f"train_{number}", queue=TRAIN.queue, pool=TRAIN.queue)
        def train():
            while not Path(os.environ["EVERGREEN_HOME"], "trained").exists():
                time.sleep(0.5)

        train()

# Tried again as the tasks of stages are.
retries = {"retries": 5, "retry_delay": timedelta(seconds=30), "retry_exponential_backoff": 2}
with DAG("ten_seconds", schedule=None, start_date=START, catchup=False, default_args=retries):

    @task
    def wait():
        time.sleep(10)

    wait()
