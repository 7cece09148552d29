"""The policy fabric: bundles and their promotion, the decision point, and the log of decisions."""
