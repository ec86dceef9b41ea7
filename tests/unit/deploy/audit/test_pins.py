"""The pins of all requirements files, each once."""

from __future__ import annotations

from pathlib import Path

from deploy.audit.pins import Pin, pins, rounds


def test_a_package_is_told_once_with_all_files_that_have_it(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text(
        "# made by a tool\n"
        "celery[redis]==5.6.1 \\\n    --hash=sha256:00\n    # via -r requirements.in\n"
        "Foo.Bar==1.0 ; sys_platform == 'win32' \\\n    --hash=sha256:00\n"
        "numpy==2.4.6 ; python_full_version < '3.12' \\\n    --hash=sha256:00\n"
        "numpy==2.5.5 ; python_full_version >= '3.12' \\\n    --hash=sha256:00\n"
    )
    (tmp_path / "requirements-s3.txt").write_text("foo-bar==1.0 \\\n    --hash=sha256:00\n")
    found = pins(sorted(tmp_path.glob("*.txt")))
    assert [pin.requirement for pin in found] == [
        "celery==5.6.1",
        "foo-bar==1.0",
        "numpy==2.4.6",
        "numpy==2.5.5",
    ]
    assert found[1] == Pin("foo-bar", "1.0", ("requirements", "requirements-s3"))
    newer = {"python_full_version": "3.13.0"}
    assert [pin.version for pin in found if pin.name == "numpy" and pin.installed_by(newer)] == ["2.5.5"]
    assert [[pin.requirement for pin in once] for once in rounds(found)] == [
        ["celery==5.6.1", "foo-bar==1.0", "numpy==2.4.6"],
        ["numpy==2.5.5"],
    ]
