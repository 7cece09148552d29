"""Commands that look after the policies of a platform."""
