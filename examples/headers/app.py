"""Shows the header fields that it gets."""


def application(environ, start_response):
    fields = sorted(name for name in environ if name.startswith("HTTP_"))
    lines = "".join(f"{name} = {environ[name]}\n" for name in fields)
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Debug-Time", "1"), ("X-Powered-By", "Python")])
    return [lines.encode("latin-1")]
