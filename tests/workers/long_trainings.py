"""A DAG file of the tests: as many trainings as tasks may run, each of which lasts until a file is there."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path

from airflow.sdk import DAG, task

from evergreen.stages import TRAIN

with DAG("long_trainings", schedule=None, start_date=datetime(2011, 1, 1, tzinfo=UTC), catchup=False):
    for number in range(3 * max(2, os.cpu_count() or 1)):

        @task(task_id=f"train_{number}", queue=TRAIN.queue, pool=TRAIN.queue)
        def train():
            while not Path(os.environ["EVERGREEN_HOME"], "trained").exists():
                time.sleep(0.5)

        train()
