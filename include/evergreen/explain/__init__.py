"""Why a version, the decision of a night or a partition came to be as it is, told from the records."""
