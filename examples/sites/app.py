"""What app.example.test shows."""


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [f"the app of {environ['HTTP_HOST']}\n".encode()]
