"""Monitoring: what is measured on every scored partition, and the policy that decides on a retraining."""
