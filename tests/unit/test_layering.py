"""The rules that keep the house easy to live in; see docs/architecture.md."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIBRARY, PLUGINS, DAGS = ROOT / "include" / "evergreen", ROOT / "plugins", ROOT / "dags"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
HEAVY = {
    "adbc_driver_duckdb",
    "adbc_driver_manager",
    "adbc_driver_postgresql",
    "adbc_driver_sqlite",
    "boto3",
    "deltalake",
    "fastavro",
    "great_expectations",
    "numpy",
    "obstore",
    "onnxruntime",
    "optuna",
    "pandas",
    "paramiko",
    "pyarrow",
    "pyiceberg",
    "python_calamine",
    "scipy",
    "skops",
    "sqlalchemy",
    "sklearn",
}
EMPTY_NAMES = re.compile(r"process(es|or|ors|ing)?|handlers?|managers?|helpers?|utils?", re.IGNORECASE)


def modules(folder: Path) -> list[Path]:
    found = sorted(folder.rglob("*.py"))
    assert found, f"nothing below {folder}"
    return found


def imported(tree: ast.AST) -> Iterator[str]:
    """Names of the modules that are imported anywhere below a node."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module)


def at_parse_time(node: ast.AST) -> Iterator[ast.AST]:
    """The statements that run when a module is imported: none in a function, or only for a type checker."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from at_parse_time(child)


def imports_of(module: str, names: Mapping[str, Path]) -> set[str]:
    """The modules among `names` that a module imports anywhere: in functions and for type checkers too."""
    found = set()
    for node in ast.walk(tree(names[module])):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} imports by a relative name: write it whole"
            parts = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (parts & set(names)) or {str(node.module)}
    return found & set(names) - {module}


def library() -> dict[str, Path]:
    """The modules of the library by their dotted names."""
    return {
        ".".join(path.relative_to(LIBRARY.parent).with_suffix("").parts).removesuffix(".__init__"): path
        for path in modules(LIBRARY)
    }


def package_of(module: str) -> str:
    return (module.split(".")[1:2] or ["evergreen"])[0]


def used_by(parts: Collection[str]) -> set[str]:
    """The packages that these packages import, themselves among them."""
    names = library()
    own = [module for module in names if package_of(module) in parts]
    return {package_of(other) for module in own for other in imports_of(module, names)} | set(parts)


def order() -> list[str]:
    """The packages in the order that docs/architecture.md writes down, the lowest first."""
    section = ARCHITECTURE.read_text().partition("\n## The library\n")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]


def packages(names: Iterator[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def offenders(found: Mapping[str, set[str]]) -> dict[str, list[str]]:
    """The files of which something was found, and what; empty if all is well."""
    return {path: sorted(names) for path, names in found.items() if names}


def test_the_library_knows_nothing_of_airflow():
    above = {"airflow", "evergreen_airflow", "dags", "deploy"}
    found = {relative(path): packages(imported(tree(path))) & above for path in modules(LIBRARY)}
    assert offenders(found) == {}


def test_the_order_of_packages_names_each_of_them_once():
    assert sorted(order()) == sorted({package_of(module) for module in library()}), (
        "give each package its place in the table of docs/architecture.md, after all that it imports"
    )


def test_every_import_in_the_library_goes_down_the_order_of_packages():
    names, place = library(), {name: number for number, name in enumerate(order())}
    upwards = [
        (module, other)
        for module in names
        for other in imports_of(module, names)
        if place[package_of(other)] > place[package_of(module)]
    ]
    assert upwards == []


def test_no_two_modules_import_each_other():
    names = library()
    graph = {module: imports_of(module, names) for module in names}
    # Throws CycleError, which names the modules of a circle.
    assert len(list(TopologicalSorter(graph).static_order())) == len(names)


def test_the_library_imports_with_airflow_blocked():
    names = list(library())
    program = f"""
import importlib, sys
from importlib.abc import MetaPathFinder

class NoAirflow(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] == "airflow":
            raise ImportError(name)

sys.meta_path.insert(0, NoAirflow())
for name in {names!r}:
    importlib.import_module(name)
assert not [name for name in sys.modules if name.partition(".")[0] == "airflow"]
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_what_the_dag_processor_parses_imports_nothing_heavy():
    found = {
        relative(path): {
            name
            for node in at_parse_time(tree(path))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in packages(imported(node)) & HEAVY
        }
        for path in [*modules(PLUGINS), *modules(DAGS)]
    }
    assert offenders(found) == {}


def test_what_the_dag_processor_imports_of_the_library_is_light():
    names = {
        name
        for module in [*modules(PLUGINS), *modules(DAGS)]
        for node in at_parse_time(ast.parse(module.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in imported(node)
        if name.partition(".")[0] == "evergreen"
    }
    program = f"""
import importlib, sys
for name in {sorted(names)!r}:
    importlib.import_module(name)
print(*sorted({HEAVY!r} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, timeout=120, capture_output=True, text=True
    )
    assert names
    assert done.stdout.split() == []


def test_a_dag_file_reads_no_variables_and_does_no_io():
    io = {"requests", "httpx", "psycopg", "psycopg2", "sqlite3"}
    found = {}
    for path in modules(DAGS):
        names = {node.id for node in ast.walk(tree(path)) if isinstance(node, ast.Name)}
        found[relative(path)] = packages(imported(tree(path))) & io | names & {"Variable"}
    assert offenders(found) == {}


def test_names_say_something():
    found = {}
    for path in [*modules(LIBRARY), *modules(PLUGINS), *modules(DAGS)]:
        classes = [node.name for node in ast.walk(tree(path)) if isinstance(node, ast.ClassDef)]
        words = re.split(r"[_/.]", relative(path.with_suffix("")))
        words += [word for name in classes for word in re.findall(r"[A-Z][a-z]*", name)]
        found[relative(path)] = {word for word in words if EMPTY_NAMES.fullmatch(word)}
    assert offenders(found) == {}


def test_a_module_is_one_concept():
    found = [*modules(LIBRARY), *modules(PLUGINS), *modules(DAGS)]
    lines = {relative(path): len(path.read_text().splitlines()) for path in found}
    assert {path: count for path, count in lines.items() if count > 400} == {}
