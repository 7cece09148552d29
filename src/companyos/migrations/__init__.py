"""The schema of all pillars as one linear chain of revisions; it imports no pillar.

A revision is a file ``versions/NNNN_what_it_does.py`` whose first four digits are its id.
"""
