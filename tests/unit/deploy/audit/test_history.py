"""What was ever committed is read, though it is gone."""

from __future__ import annotations

import subprocess
from pathlib import Path

from deploy.audit.history import lines


def test_lines_of_all_commits_and_of_the_tree_are_read_each_once(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=a", "-c", "user.email=a@localhost", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    def commit(**files: str) -> None:
        for name, text in files.items():
            (tmp_path / name.replace("_", ".")).write_text(text)
        git("add", "--all")
        git("commit", "--message", "a change")

    git("init", "--quiet")
    commit(settings_py='KEY = "given away"\nport = 1\n', notes_md='KEY = "given away"\n')
    commit(settings_py='import os\nport = 1\nKEY = os.environ["KEY"]\n')
    git("mv", "settings.py", "moved.py")
    commit(moved_py="port = 1\n")
    (tmp_path / "moved.py").write_text("port = 1\nnot committed\n")
    assert lines(tmp_path) == {
        "notes.md": ['KEY = "given away"'],
        "settings.py": ['KEY = "given away"', "port = 1", "import os", 'KEY = os.environ["KEY"]'],
        "moved.py": ["not committed"],
    }
