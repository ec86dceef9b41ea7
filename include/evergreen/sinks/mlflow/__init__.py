"""MLflow, told by its REST API: a run and a registered version for each version, and who is champion."""
