"""What maintains the repository; nothing in here is installed with the platform."""
