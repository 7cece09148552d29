"""CompanyOS: the paved road of software delivery."""

__version__ = "0.1.0"
