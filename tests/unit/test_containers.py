"""The container files, checked as text. No Docker needed; compose itself is asked where it is installed."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import boto3
import pytest
import yaml

from deploy.compose.env import demo_connections

ROOT = Path(__file__).parents[2]
COMPOSE_TEXT = (ROOT / "docker-compose.yaml").read_text()
COMPOSE = yaml.safe_load(COMPOSE_TEXT)
SERVICES = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
INSTRUCTIONS = re.findall(r"^([A-Z]+) (.*)$", DOCKERFILE.replace("\\\n", ""), re.MULTILINE)
EXAMPLE_TEXT = (ROOT / ".env.example").read_text()
EXAMPLE = dict(re.findall(r"^(\w+)=(.*)$", EXAMPLE_TEXT, re.MULTILINE))
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

# ${NAME}, ${NAME:-default} or ${NAME:?message}; a doubled dollar is for the shell in the container.
VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>\w+)(?:(?P<operator>:?[-?+])(?P<rest>[^}]*))?\}")
SECRETS = sorted(name for name, value in EXAMPLE.items() if not value and name != "DEMO_PASSWORD")
SECRET_NAME = re.compile(r"PASSWORD|SECRET|_KEY|FERNET|REDISCLI_AUTH|AIRFLOW_CONN_")
CONTROL_KEYS = {
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
    "AIRFLOW__CORE__FERNET_KEY",
    "AIRFLOW__API_AUTH__JWT_SECRET",
    "AIRFLOW__API__SECRET_KEY",
}
# The first release whose conditional writes are atomic (seaweedfs/seaweedfs#8802).
OLDEST_SEAWEEDFS = (4, 18)


def arguments() -> dict[str, str]:
    """The Dockerfile's ARGs and their defaults."""
    pairs = [text.partition("=") for name, text in INSTRUCTIONS if name == "ARG"]
    return {name: value.strip('"') for name, _, value in pairs}


def base_image() -> str:
    return image_of("airflow")


def image_of(name: str) -> str:
    """The image that the stage `serving`, or the last one, which is Airflow's, is built on."""
    stages = [text.partition(" AS ") for instruction, text in INSTRUCTIONS if instruction == "FROM"]
    images = {stage or "airflow": image for image, _, stage in stages}
    assert list(images) == ["serving", "demo", "airflow"]
    assert images["demo"] == "serving"
    return VARIABLE.sub(lambda match: arguments()[match["name"]], images[name])


def environment_values() -> list[tuple[str, str, str]]:
    return [
        (service, key, str(value))
        for service, settings in SERVICES.items()
        for key, value in settings.get("environment", {}).items()
    ]


def init_script() -> str:
    """What init runs, as Python gets it: compose turns a doubled dollar into one."""
    assert SERVICES["init"]["command"][:2] == ["python", "-c"]
    return SERVICES["init"]["command"][2].replace("$$", "$")


def test_services():
    assert set(SERVICES) == {
        *("postgres", "redis", "seaweedfs"),
        *("init", "api-server", "scheduler", "dag-processor", "triggerer", "worker", "worker-training"),
        "serving",
        *("gateway", "demo-db", "demo"),
    }


@pytest.mark.parametrize(
    "image", [base_image(), image_of("serving"), *(service["image"] for service in SERVICES.values())]
)
def test_image_is_pinned(image):
    _, colon, tag = image.partition(":")
    assert colon, f"{image} has no tag"
    assert "latest" not in tag
    assert re.search(r"\d", tag), f"{image} names no version"


@pytest.mark.parametrize("name", SERVICES)
def test_service_has_a_health_check_or_runs_once(name):
    if SERVICES[name]["restart"] == "no":
        assert name == "init"
    else:
        assert SERVICES[name]["restart"] == "unless-stopped"
        assert SERVICES[name]["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}


@pytest.mark.parametrize("name", SERVICES)
def test_service_waits_for_what_it_needs(name):
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        once = SERVICES[needed]["restart"] == "no"
        assert how == {"condition": "service_completed_successfully" if once else "service_healthy"}


def test_ports_are_published_on_this_machine_only():
    ports = {name: settings["ports"] for name, settings in SERVICES.items() if "ports" in settings}
    elsewhere = ports.pop("gateway")
    assert set(ports) == {"api-server", "serving"}
    assert all(port.startswith("127.0.0.1:") for each in ports.values() for port in each)
    # The gateway, too, unless its address is set.
    assert all(port.startswith("${GATEWAY_ADDRESS:-127.0.0.1}:") for port in elsewhere)


def test_volumes_are_named():
    mounts = [mount for service in SERVICES.values() for mount in service.get("volumes", [])]
    mounts.remove("./deploy/worker/haproxy.cfg:/usr/local/etc/haproxy/haproxy.cfg:ro")
    assert {mount.partition(":")[0] for mount in mounts} == set(COMPOSE["volumes"])


def test_settings_are_those_of_the_example():
    assert {match["name"] for match in VARIABLE.finditer(COMPOSE_TEXT)} == set(EXAMPLE)


def test_example_explains_each_setting_and_holds_no_secret():
    paragraphs = [paragraph.splitlines() for paragraph in EXAMPLE_TEXT.strip().split("\n\n")]
    assert all(paragraph[0].startswith("# ") for paragraph in paragraphs)
    assert {name for name in EXAMPLE if SECRET_NAME.search(name)} == {*SECRETS, "DEMO_PASSWORD"}


@pytest.mark.parametrize("name", SECRETS)
def test_missing_secret_stops_compose(name):
    uses = [match for match in VARIABLE.finditer(COMPOSE_TEXT) if match["name"] == name]
    assert uses
    assert all(use["operator"] == ":?" and name in use["rest"] for use in uses)


def test_no_secret_is_written_out():
    found = [value for _, key, value in environment_values() if SECRET_NAME.search(key)]
    assert found
    for value in found:
        assert VARIABLE.fullmatch(value), "a secret stands in docker-compose.yaml"
    in_urls = re.findall(r"://\w*:(.+?)@(?=\w+[:/])", COMPOSE_TEXT)
    assert in_urls
    for password in in_urls:
        assert VARIABLE.fullmatch(password), "a password stands in a URL of docker-compose.yaml"
    (password,) = [part for part in SERVICES["redis"]["command"] if "PASSWORD" in part]
    assert VARIABLE.fullmatch(password)


@pytest.mark.parametrize("name", ["worker", "worker-training"])
def test_worker_holds_no_key_to_airflow_itself(name):
    assert set(SERVICES["scheduler"]["environment"]) >= CONTROL_KEYS
    assert not set(SERVICES[name]["environment"]) & CONTROL_KEYS


def test_every_stage_has_a_worker_that_takes_its_tasks():
    workers = [settings["command"] for name, settings in SERVICES.items() if name.startswith("worker")]
    queues = [command.partition("--queues ")[2] for command in workers]
    assert queues == ["default", "training"]


@pytest.mark.parametrize("name", SERVICES)
def test_service_cannot_change_what_it_runs(name):
    assert SERVICES[name]["read_only"] is True
    assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]
    assert "/tmp" in [mount.partition(":")[0] for mount in SERVICES[name]["tmpfs"]]


def test_what_airflow_writes_is_in_memory_or_on_a_volume():
    settings = COMPOSE["x-common-environment"]
    mounts = [
        *SERVICES["worker"]["tmpfs"],
        *(each.partition(":")[2] for each in SERVICES["worker"]["volumes"]),
    ]
    writable = {mount.partition(":")[0] for mount in mounts}
    assert {settings["AIRFLOW_HOME"], settings["AIRFLOW__LOGGING__BASE_LOG_FOLDER"]} <= writable
    (code,) = [text for name, text in INSTRUCTIONS if name == "ENV" and "DAGS_FOLDER" in text]
    for kind in ("DAGS", "PLUGINS"):
        folder = f"AIRFLOW__CORE__{kind}_FOLDER"
        assert f"{folder}={settings[folder]}" in code
        assert not any(Path(settings[folder]).is_relative_to(place) for place in writable)


def test_code_in_the_image_belongs_to_root_and_to_no_group_that_may_write():
    copied = [text for name, text in INSTRUCTIONS if name == "COPY"]
    assert copied
    assert all(text.split()[-1].startswith("/opt/evergreen/") and "--chown" not in text for text in copied)
    assert DOCKERFILE.count("chmod -R u=rwX,go=rX /opt/evergreen") == 3


def test_a_dead_worker_is_noticed_before_its_messages_are_delivered_again():
    control = COMPOSE["x-control-environment"]
    longest = int(COMPOSE["x-longest-task"])
    assert int(control["AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT"]) == 60
    assert COMPOSE["x-common-environment"][
        "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT"
    ] == str(longest)
    dags = (ROOT / "plugins" / "evergreen_airflow" / "lifecycle.py").read_text()
    (hours,) = re.findall(r'"execution_timeout": timedelta\(hours=(\d+)\)', dags)
    assert longest > int(hours) * 3600


@pytest.mark.parametrize("name", [name for name in SERVICES if "healthcheck" in SERVICES[name]])
def test_health_is_known_in_seconds(name):
    assert int(SERVICES[name]["healthcheck"]["interval"].removesuffix("s")) <= 15


def test_seaweedfs_honours_conditional_writes_and_keeps_its_filer_to_itself():
    tag = SERVICES["seaweedfs"]["image"].rpartition(":")[2]
    assert tuple(int(part) for part in tag.split(".")) >= OLDEST_SEAWEEDFS
    options = SERVICES["seaweedfs"]["command"].split()
    assert [option for option in options if ".bind=0.0.0.0" in option] == ["-s3.ip.bind=0.0.0.0"]
    assert "-ip.bind=127.0.0.1" in options


def buckets() -> set[str]:
    return {bucket["Name"] for bucket in boto3.client("s3").list_buckets()["Buckets"]}


class Database:
    """A database that remembers its comment, as PostgreSQL does."""

    autocommit = False
    comment: str | None = None

    def cursor(self) -> Database:
        return self

    def execute(self, statement: str) -> None:
        if found := re.search(r"IS '(.*)'", statement):
            self.comment = found[1]

    def fetchone(self) -> tuple[str | None]:
        return (self.comment,)


def test_init_does_once_for_a_version_what_takes_long_and_makes_a_bucket_that_passes_the_probe(
    s3_server: str, monkeypatch: pytest.MonkeyPatch
):
    database, ran = Database(), []
    monkeypatch.setattr("psycopg2.connect", lambda url: database)
    monkeypatch.setattr("subprocess.run", lambda command, **options: ran.append((command, options)))
    monkeypatch.setattr(Path, "read_bytes", lambda path: str(path).encode())
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "ADMIN_PASSWORD"):
        monkeypatch.setenv(name, secrets.token_hex())
    for name in ("AWS_REGION", "EVERGREEN_STORAGE", "ADMIN_USERNAME", "TRAINING_SLOTS"):
        monkeypatch.setenv(name, EXAMPLE[name])
    monkeypatch.setenv(
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql+psycopg2://airflow@postgres/airflow"
    )
    before = buckets()
    for _ in ("first start", "another start"):
        exec(init_script(), {})
    assert buckets() - before == {"evergreen"}
    assert [command[1:3] for command, _ in ran] == [["db", "migrate"], ["users", "create"], ["pools", "set"]]
    monkeypatch.setenv("TRAINING_SLOTS", "3")
    exec(init_script(), {})
    assert len(ran) == 6
    password = os.environ["ADMIN_PASSWORD"]
    assert [password in options["input"] for _, options in ran if options["input"]] == [True, True]
    assert not any(password in command for command, _ in ran)


def test_dockerfile_pins_the_airflow_that_is_tested():
    (version,) = re.findall(r"^apache-airflow==(.+)$", (ROOT / "requirements.in").read_text(), re.MULTILINE)
    assert arguments()["AIRFLOW_VERSION"] == version
    assert base_image() == f"apache/airflow:slim-{version}-{arguments()['PYTHON_TAG']}"


def test_dockerfile_installs_by_hash_as_an_ordinary_user():
    installs = [text for name, text in INSTRUCTIONS if name == "RUN" and "pip install" in text]
    assert installs
    assert all("--require-hashes --no-deps" in text for text in installs)
    assert [text for name, text in INSTRUCTIONS if name == "USER"] == [
        *("evergreen", "root", "evergreen"),
        *("airflow", "root", "airflow"),
    ]


def test_image_holds_only_what_is_copied_and_no_secret():
    copied = {text.split()[0].rstrip("/") for name, text in INSTRUCTIONS if name == "COPY"}
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignore[1] == "*"
    assert copied == {line[1:] for line in ignore if line.startswith("!")}
    settings = [text for name, text in INSTRUCTIONS if name in {"ARG", "ENV"}]
    assert settings
    assert not any(SECRET_NAME.search(text.upper()) for text in settings)


def test_image_carries_the_version_of_the_project():
    assert DOCKERFILE.count(f'image.version="{VERSION}"') == DOCKERFILE.count("image.version=") == 3
    assert COMPOSE["x-airflow-common"]["image"] == f"evergreen:{VERSION}"
    assert SERVICES["serving"]["image"] == f"evergreen-serving:{VERSION}"
    assert SERVICES["serving"]["build"] == {"context": ".", "target": "serving"}
    assert SERVICES["demo"]["image"] == f"evergreen-demo:{VERSION}"


def test_the_server_asks_for_a_token_and_has_the_keys_of_the_storage_alone():
    serving = SERVICES["serving"]
    assert serving["command"][-2:] == ["--token", "serving"]
    assert set(serving["environment"]) == {*COMPOSE["x-storage-environment"], "AIRFLOW_CONN_SERVING"}


@pytest.mark.parametrize(
    "class_path",
    [
        "airflow.providers.celery.executors.celery_executor.CeleryExecutor",
        COMPOSE["x-common-environment"]["AIRFLOW__CORE__AUTH_MANAGER"],
    ],
)
def test_what_compose_names_imports_with_the_locked_versions(class_path, tmp_path):
    # The resolver has once chosen a Celery that the provider could not import.
    module, _, name = class_path.rpartition(".")
    run = subprocess.run(
        [sys.executable, "-c", f"from {module} import {name}"],
        env={"PATH": "", "AIRFLOW_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def compose() -> list[str]:
    for command in (["docker", "compose"], ["docker-compose"]):
        if (
            shutil.which(command[0])
            and not subprocess.run([*command, "version"], capture_output=True, check=False).returncode
        ):
            return [*command, "--file", str(ROOT / "docker-compose.yaml")]
    pytest.skip("neither `docker compose` nor `docker-compose` is installed")


def compose_config(compose: list[str], folder: Path, settings: dict[str, str]) -> subprocess.CompletedProcess:
    # Variables of this process would win over the file; compose itself may lie in the folder of the user.
    plugins = os.environ.get("DOCKER_CONFIG") or str(Path.home() / ".docker")
    file = folder / ".env"
    (folder / "connections.env").write_text(demo_connections("a password"))
    file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    return subprocess.run(
        [*compose, "--project-directory", str(folder), "--env-file", str(file), "config"],
        env={
            "PATH": str(Path(shutil.which(compose[0])).parent),
            "HOME": str(folder),
            "DOCKER_CONFIG": plugins,
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def filled() -> dict[str, str]:
    """The example filled in as its comments say."""
    made = {name: value or secrets.token_hex() for name, value in EXAMPLE.items()}
    for name in made:
        if name.startswith("AIRFLOW_CONN_"):
            made[name] = re.search(rf"^# ('\{{.*\}}')\n{name}=", EXAMPLE_TEXT, re.MULTILINE)[1]
    return made


def test_compose_accepts_the_filled_example(compose, filled, tmp_path):
    run = compose_config(compose, tmp_path, filled)
    assert run.returncode == 0, run.stderr
    resolved = yaml.safe_load(run.stdout)["services"]
    assert set(resolved) == {name for name, service in SERVICES.items() if "profiles" not in service}
    connection = yaml.safe_load(resolved["worker"]["environment"]["AIRFLOW_CONN_WEATHER_API"])
    assert connection["extra"] == {"api_key_header": "X-API-Key"}


@pytest.mark.parametrize("name", SECRETS)
def test_compose_names_the_secret_that_is_missing(compose, filled, tmp_path, name):
    run = compose_config(compose, tmp_path, filled | {name: ""})
    assert run.returncode != 0
    assert f"set {name} in .env" in run.stderr
