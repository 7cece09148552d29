"""The commands about policies that work on files alone, without a platform."""
