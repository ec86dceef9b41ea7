from __future__ import annotations

import stat
from pathlib import Path

import pytest

from deploy.embedded.errors import StackError
from deploy.embedded.home import REPOSITORY, Home, Ports, choose_ports, write_atomically


def test_the_ports_are_fixed_unless_moved() -> None:
    fixed = choose_ports({"EVERGREEN_REDIS_PORT": "2"})
    assert fixed == Ports(ui=8080, postgres=5433, s3=9000, weather=8090, serving=8100, redis=2)
    moved = choose_ports(
        {"EVERGREEN_UI_PORT": "8081", "EVERGREEN_WEATHER_PORT": "1", "EVERGREEN_REDIS_PORT": "2"}
    )
    assert moved == Ports(ui=8081, postgres=5433, s3=9000, weather=1, redis=2)
    assert choose_ports({}).redis > 1023


def test_free_ports_differ_and_one_can_still_be_named() -> None:
    ports = choose_ports({"EVERGREEN_PORTS": "free", "EVERGREEN_S3_PORT": "9000"})
    assert ports.s3 == 9000
    assert len({ports.ui, ports.postgres, ports.weather, ports.serving}) == 4
    assert all(port > 1023 for port in (ports.ui, ports.postgres, ports.weather, ports.serving))


@pytest.mark.parametrize("text", ["x", "0", "65536", "-1", "80.5"])
def test_a_wrong_port_is_named(text: str) -> None:
    with pytest.raises(StackError, match=f"EVERGREEN_POSTGRES_PORT is '{text}': set it to a port number"):
        choose_ports({"EVERGREEN_POSTGRES_PORT": text})


def test_a_wrong_mode_is_named() -> None:
    with pytest.raises(StackError, match="EVERGREEN_PORTS is 'any': set it to 'fixed' or 'free'"):
        choose_ports({"EVERGREEN_PORTS": "any"})


def test_the_home_folder_can_be_moved(tmp_path: Path) -> None:
    assert Home.from_environment({}).root == REPOSITORY / ".evergreen"
    assert Home.from_environment({"EVERGREEN_HOME": str(tmp_path)}).root == tmp_path


def test_ports_are_kept(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert home.saved_ports() is None
    home.save_ports(Ports(ui=1))
    assert home.saved_ports() == Ports(ui=1)


def test_others_may_pass_through_the_home_and_look_nowhere(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.create()
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o711
    for folder in (home.logs, home.run, home.airflow, home.s3, home.source):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_files_are_replaced_as_a_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, "one")
    write_atomically(path, "two")
    assert path.read_text() == "two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
