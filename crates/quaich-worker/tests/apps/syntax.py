"""Does not parse."""

def (:
