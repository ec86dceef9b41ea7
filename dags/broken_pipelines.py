"""Shows a wrong `pipeline.yaml` in Airflow as an import error of its own.

The stage files skip such a pipeline, so that it does not remove the other pipelines' DAGs.
(Airflow parses only files that hold the words `airflow` and `dag`.)
"""

from evergreen.errors import SpecError
from evergreen.spec import load_spec, pipeline_names

problems = []
for name in pipeline_names():
    try:
        load_spec(name)
    except SpecError as problem:
        problems.append(str(problem))
if problems:
    raise SpecError(" | ".join(problems))
