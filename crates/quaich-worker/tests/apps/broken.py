"""Raises while it is imported."""


def divide():
    return 1 / 0


divide()
