"""Data files of the package: printed parameter tables and the trained weights of the demo."""
