"""The story that the platform tells of itself: three services with users, a good release, a bad one, a slow one."""
