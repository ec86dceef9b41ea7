"""A pipeline's description: frozen models, read from `pipeline.yaml`."""

from evergreen.spec.alerts import Alerts, Receiver, Severity
from evergreen.spec.features import Features, FeatureSet, Lookup
from evergreen.spec.folders import pipeline_names, pipelines_of
from evergreen.spec.gate import (
    Approval,
    ChampionRule,
    FairnessRule,
    Gate,
    Latency,
    Limit,
    Resources,
    SliceRule,
)
from evergreen.spec.labels import Labels
from evergreen.spec.load import load_spec, parse_spec
from evergreen.spec.maintenance import Maintenance
from evergreen.spec.mlflow import Mlflow
from evergreen.spec.models import Models
from evergreen.spec.monitoring import (
    Health,
    Monitoring,
    Retrain,
)
from evergreen.spec.reports import Reports
from evergreen.spec.scoring import Scoring
from evergreen.spec.serving import Log, LookBack, Serving
from evergreen.spec.spec import Spec
from evergreen.spec.training import Candidate, Pretrained, Step, Training, Tuning
from evergreen.spec.validation import Validation
from evergreen.task import Task

__all__ = [
    "Alerts",
    "Approval",
    "Candidate",
    "ChampionRule",
    "FairnessRule",
    "FeatureSet",
    "Features",
    "Gate",
    "Health",
    "Labels",
    "Latency",
    "Limit",
    "Log",
    "LookBack",
    "Lookup",
    "Maintenance",
    "Mlflow",
    "Models",
    "Monitoring",
    "Pretrained",
    "Receiver",
    "Reports",
    "Resources",
    "Retrain",
    "Scoring",
    "Serving",
    "Severity",
    "SliceRule",
    "Spec",
    "Step",
    "Task",
    "Training",
    "Tuning",
    "Validation",
    "load_spec",
    "parse_spec",
    "pipeline_names",
    "pipelines_of",
]
