"""A file whose name is that of a module of the standard library."""


def app(environ, start_response):
    return []
