"""Counts visits in a cookie; after each it sends the browser to the page that shows them."""

from http.cookies import SimpleCookie


def counter(name):
    def app(environ, start_response):
        cookie = SimpleCookie(environ.get("HTTP_COOKIE", "")).get("visits")
        visits = int(cookie.value) if cookie and cookie.value.isdigit() else 0
        if environ["PATH_INFO"] != "/visits":
            fields = [("Location", "/visits"), ("Set-Cookie", f"visits={visits + 1}; Path=/")]
            start_response("303 See Other", fields)
            return []
        start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
        return [f"{name}: {visits} visits\n".encode()]

    return app


red = counter("red")
blue = counter("blue")
