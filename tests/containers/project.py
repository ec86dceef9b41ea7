"""A project of compose: its services, brought up, asked and taken down."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.containers.engine import run, say

LABEL = "com.docker.compose"


@dataclass(frozen=True)
class Project:
    """A compose file with the settings it is started with. `command` is compose's."""

    name: str
    file: Path
    settings: dict[str, str] = field(repr=False)
    env_file: Path
    command: list[str]
    profiles: tuple[str, ...] = ()

    def compose(self, *arguments: str, timeout: float = 900) -> str:
        """What compose says to a command about this project."""
        profiles = [part for name in self.profiles for part in ("--profile", name)]
        chosen = ["--project-name", self.name, "--file", str(self.file), "--env-file", str(self.env_file)]
        return run([*self.command, *chosen, *profiles, *arguments], timeout=timeout)

    def up(self, *arguments: str) -> None:
        """Start what does not run; returns when compose does."""
        self.compose("up", "--detach", "--no-build", *arguments)

    def down(self) -> None:
        """Remove the containers and the volumes."""
        self.compose("down", "--volumes", "--timeout", "20")

    def execute(self, service: str, *command: str) -> subprocess.CompletedProcess[str]:
        """A command in the first container of a service, which may fail."""
        return subprocess.run(
            ["docker", "exec", self.containers(service)[0], *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    def containers(self, service: str = "", everything: bool = False) -> list[str]:
        """The ids of the running containers of a service, or of all; with those that have ended if asked."""
        wanted = [f"--filter=label={LABEL}.project={self.name}"]
        if service:
            wanted.append(f"--filter=label={LABEL}.service={service}")
        return run(["docker", "ps", "--quiet", *(["--all"] if everything else []), *wanted]).split()

    def states(self) -> dict[str, str]:
        """The health of each service, `exited 0` of one that has ended, for all that compose has made."""
        ids = self.containers(everything=True)
        found = json.loads(run(["docker", "inspect", *ids])) if ids else []
        return {each["Config"]["Labels"][f"{LABEL}.service"]: _state(each["State"]) for each in found}

    def wait_until_healthy(self, seconds: float = 600) -> None:
        """Until every service is healthy, or has ended well; says when each was."""
        began, seen = time.monotonic(), set()
        while True:
            states = self.states()
            done = {name for name, state in states.items() if state in {"healthy", "exited 0"}}
            for name in sorted(done - seen):
                say(f"{self.name}: {name} is {states[name]} after {time.monotonic() - began:.0f} s")
            seen = done
            if states and done == set(states):
                return
            assert time.monotonic() - began < seconds, f"{states}\n{self.logs(set(states) - done)}"
            time.sleep(1)

    def logs(self, services: set[str]) -> str:
        """The last lines of services."""
        return self.compose("logs", "--tail", "20", *sorted(services))


def _state(state: dict[str, object]) -> str:
    if state["Status"] == "exited":
        return f"exited {state['ExitCode']}"
    health = state.get("Health")
    return str(health["Status"]) if isinstance(health, dict) else str(state["Status"])
