"""`python -m geoseg` is the command `geoseg`, for where its script is not on the path."""

from geoseg.cli.main import main

if __name__ == "__main__":
    main()
