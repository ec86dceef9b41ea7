"""The lean image answers by the champion that was trained before it."""

from __future__ import annotations

import json

import httpx

from deploy.embedded.airflow_api import AirflowApi
from tests.containers.engine import say
from tests.containers.project import Project
from tests.e2e.waiting import wait_for

ROW = {"flower": 1, "sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}


def test_the_server_is_ready_and_predicts_for_who_has_the_token(control: Project, airflow: AirflowApi):
    url = f"http://127.0.0.1:{control.settings['SERVING_PORT']}"
    wait_for(lambda: airflow.count("iris_train", ["success"]), "iris to train", 400)

    def served() -> bool:
        return bool(httpx.get(f"{url}/ready").json()["pipelines"].get("iris", {}).get("version"))

    wait_for(served, "the server to follow")
    path, rows = f"{url}/v1/pipelines/iris/predict", {"rows": [ROW]}
    assert httpx.post(path, json=rows).status_code == httpx.codes.UNAUTHORIZED
    token = json.loads(control.settings["AIRFLOW_CONN_SERVING"].strip("'"))["password"]
    answer = httpx.post(path, json=rows, headers={"Authorization": f"Bearer {token}"})
    assert answer.json()["predictions"][0]["prediction"] == "setosa", answer.text
    say(f"/ready {httpx.get(f'{url}/ready').status_code}, /predict {answer.json()['predictions'][0]}")
