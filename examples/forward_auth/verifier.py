"""Says who may come in: whoever has logged in at /login, under any name."""

import hmac
import os
from http.cookies import SimpleCookie
from urllib.parse import parse_qs

KEY = os.urandom(32)
PAGE = b"""<!doctype html><title>Login</title>
<form method=post><input name=user placeholder="your name" autofocus><button>Log in</button></form>
"""


def signed(user):
    return user + "." + hmac.new(KEY, user.encode(), "sha256").hexdigest()


def known(environ):
    cookie = SimpleCookie(environ.get("HTTP_COOKIE", "")).get("session")
    user = cookie.value.rpartition(".")[0] if cookie else ""
    return user if user and hmac.compare_digest(cookie.value, signed(user)) else None


def application(environ, start_response):
    if environ["PATH_INFO"] == "/verify":
        user = known(environ)
        if user:
            start_response("204 No Content", [("X-User", user)])
        else:
            start_response("302 Found", [("Location", "/login")])
        return [b""]
    if environ["REQUEST_METHOD"] == "POST":
        length = min(int(environ.get("CONTENT_LENGTH") or 0), 1000)
        form = parse_qs(environ["wsgi.input"].read(length).decode())
        user = "".join(c for c in form.get("user", ["guest"])[0] if c.isalnum()) or "guest"
        session = f"session={signed(user)}; Path=/; HttpOnly; SameSite=Lax"
        start_response("303 See Other", [("Location", "/"), ("Set-Cookie", session)])
        return [b""]
    start_response("200 OK", [("Content-Type", "text/html")])
    return [PAGE]
