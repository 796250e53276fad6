"""The smallest WSGI app. Start it with `quaich run` in this folder."""

PAGE = """<!doctype html>
<meta charset="utf-8">
<title>Hello from quaich</title>
<style>
  body {{ font: 1.1rem/1.5 system-ui, sans-serif; max-width: 36rem; margin: 15vh auto; padding: 0 1rem }}
  @media (prefers-color-scheme: dark) {{ body {{ background: #16181d; color: #e6e6e6 }} }}
</style>
<h1>Hello, {who}!</h1>
<p>This page comes from <code>examples/hello/app.py</code>, run by quaich on Python {python}.</p>
"""


def application(environ, start_response):
    import html
    import platform

    who = environ["PATH_INFO"].strip("/").encode("latin-1").decode("utf-8", "replace") or "guest"
    page = PAGE.format(who=html.escape(who), python=platform.python_version()).encode()
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
    return [page]
