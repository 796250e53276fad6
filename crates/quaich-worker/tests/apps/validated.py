"""A well-behaved application inside the standard library's validator; warnings are errors."""

import io
import warnings
from wsgiref.validate import validator

warnings.simplefilter("error")


def plain(environ, start_response):
    path = environ["PATH_INFO"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/generator":
        return (part for part in [b"a", b"b"])
    if path == "/file":
        return environ["wsgi.file_wrapper"](io.BytesIO(b"content"))
    if path == "/read":
        stream = environ["wsgi.input"]
        parts = [stream.readline(), stream.read(3), *stream.readlines(), stream.read(1)]
        environ["wsgi.errors"].write("")
        environ["wsgi.errors"].flush()
        return parts
    return [b"body"]


application = validator(plain)
