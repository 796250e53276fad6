"""The app of the table of transports: says what it saw, or answers as the path asks."""

import hashlib
import json

# What differs from one transport to the next, and is tested for itself.
OF_THE_TRANSPORT = {"HTTP_HOST", "HTTP_VIA", "HTTP_X_REQUEST_ID", "HTTP_FORWARDED"}


def reflect(environ):
    # Not every server knows where its input ends.
    length = -1 if environ.get("wsgi.input_terminated") else int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(length) if length else b""
    fields = {
        name: value
        for name, value in environ.items()
        if name.startswith("HTTP_")
        and not name.startswith("HTTP_X_FORWARDED_")
        and name not in OF_THE_TRANSPORT
    }
    return {
        "method": environ["REQUEST_METHOD"],
        "path": environ["PATH_INFO"],
        "query": environ["QUERY_STRING"],
        "type": environ.get("CONTENT_TYPE", ""),
        "fields": dict(sorted(fields.items())),
        "length": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
        "body": body.decode("latin-1") if len(body) < 100 else "",
    }


def pieces(count, size):
    for number in range(count):
        yield bytes([number % 251]) * size


def fails_in_the_middle():
    yield b"begun"
    raise ValueError("on purpose")


def waits_at_the_gate():
    yield b"first"
    with open("gate", "rb") as gate:
        gate.read()
    yield b"second"


def application(environ, start_response):
    path = environ["PATH_INFO"]
    what, _, rest = path[1:].partition("/")
    text = [("Content-Type", "text/plain")]
    if what == "size":
        # Not every server knows the length of a body of one piece.
        length = [] if "quaich.request_id" in environ else [("Content-Length", rest)]
        start_response("200 OK", text + length)
        return [b"s" * int(rest)]
    if what == "pieces":
        start_response("200 OK", text)
        return pieces(int(rest), 1000)
    if what == "status":
        headers = [("X-Kept", "yes")] + ([("Location", "/next")] if rest[0] == "3" else [])
        start_response(rest + " As Asked", headers)
        return [] if rest in ("204", "304") else [b"status " + rest.encode()]
    if what == "fields":
        several = [("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2"), ("X-Twice", "one")]
        start_response("200 OK", text + several + [("X-Twice", "two"), ("X-Empty", "")])
        return [b"fields"]
    if what == "large-field":
        start_response("200 OK", text + [("X-Large", "v" * 20_000)])
        return [b"large"]
    if what == "fail":
        start_response("200 OK", text)
        return fails_in_the_middle()
    if what == "short":
        start_response("200 OK", text + [("Content-Length", "100")])
        return [b"only this"]
    if what == "gate":
        start_response("200 OK", text)
        return waits_at_the_gate()
    if what == "ignore":
        # A server that closes with an unread body resets: without a length that is a cut answer.
        start_response("200 OK", text + [("Content-Length", "8")])
        return [b"not read"]
    if what == "environ":
        body = {k: v for k, v in environ.items() if isinstance(v, str)}
    else:
        body = reflect(environ)
    body = json.dumps(body).encode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [body]
