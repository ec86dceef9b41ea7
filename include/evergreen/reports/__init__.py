"""Reports for people: what a night and a week brought, what was decided, and what there is to do."""
