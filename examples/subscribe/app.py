import os


def application(environ, start_response):
    body = f"{environ['HTTP_HOST']} is served by process {os.getpid()}\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
