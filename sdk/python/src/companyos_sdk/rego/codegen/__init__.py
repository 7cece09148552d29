"""Statements of a plan to Python source."""
