"""Decisions of a policy in the service's own process, and the obligations that come with them."""
