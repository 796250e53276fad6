"""A WSGI app that says where it stands: served by uWSGI, reached through quaich."""


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    where = environ["SCRIPT_NAME"] + environ["PATH_INFO"]
    mode = environ.get("APP_MODE", "none")
    return [f"uWSGI answers {where} for {environ['REMOTE_ADDR']}, mode {mode}\n".encode()]
