from __future__ import annotations

from pathlib import Path

from deploy.embedded import environment, serving, stack
from deploy.embedded.home import Home, Ports
from deploy.embedded.secrets import keep


def test_the_server_listens_on_this_machine_and_has_no_key_to_airflow(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.create()
    ports = Ports(serving=1005)
    found = environment.for_programs(environment.variables(home, ports, keep(home)))
    service = serving.service(found, ports)
    assert serving.url(ports) == "http://127.0.0.1:1005"
    assert list(service.command[1:]) == ["serve", "--host", "127.0.0.1", "--port", "1005"]
    assert {"EVERGREEN_STORAGE", "AIRFLOW_CONN_RENTALS_DB", "PYTHONPATH"} <= service.environment.keys()
    assert [name for name in service.environment if name.startswith("AIRFLOW__")] == []
    assert keep(home).fernet_key not in service.environment.values()


def test_it_ends_before_what_it_reads() -> None:
    order = stack._STOP_ORDER
    assert order.index(serving.NAME) < order.index("s3")
