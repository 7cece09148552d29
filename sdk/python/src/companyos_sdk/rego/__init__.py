"""Rego, the policy language of OPA, compiled to Python."""
