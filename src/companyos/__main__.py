"""``python -m companyos`` is the command line, for places where the script is not on the path."""

from companyos.cli.main import main

if __name__ == "__main__":
    main()
