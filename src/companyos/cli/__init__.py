"""The command line. Commands of a pillar are in its ``commands.py``; here are those of the platform as a whole."""
