"""Shows how bytes of a request are seen, and answers with characters outside ASCII."""


def app(environ, start_response):
    start_response("200 caf\xe9", [("X-Name", "caf\xe9")])
    told = "|".join([environ["PATH_INFO"], environ["wsgi.url_scheme"], environ["HTTPS"]])
    return [told.encode("latin-1")]
