"""Who visits the sites on Airflow's API server, and an auth manager that knows them."""

from __future__ import annotations

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from fastapi.testclient import TestClient

BROWSER = {"Accept": "text/html,application/xhtml+xml"}


class OnlyBikes(SimpleAuthManager):
    """Everybody but `admin` may see the DAGs of bike_demand alone."""

    asked: list[object]

    def is_authorized_dag(self, *, method, user, access_entity=None, details=None):
        self.asked.append((method, access_entity))
        return user.role == "ADMIN" or details.id.startswith("bike_demand_")


def log_in(visitor: TestClient, auth: SimpleAuthManager, name: str, role: str) -> TestClient:
    """The visitor with the cookie of the UI."""
    visitor.cookies.set("_token", auth.generate_jwt(SimpleAuthManagerUser(username=name, role=role)))
    return visitor
