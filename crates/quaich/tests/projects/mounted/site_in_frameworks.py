"""One small site in several frameworks. None of them is told where it is mounted.

    python site_in_frameworks.py FRAMEWORK NAME        serves it on a free port and prints `port N`

| path      | answers                                                          |
|-----------|------------------------------------------------------------------|
| /start    | sets the cookie `sid` to NAME, Path=/, and redirects to /page     |
| /page     | the cookie `sid`                                                 |
| /absolute | redirects to the whole URL of /page, as the framework makes it    |
| /sub/in   | sets the cookie `sub` to NAME, Path=/sub, and redirects to /sub/at |
| /sub/at   | the cookie `sub`                                                 |
| /link     | the whole URL of /page                                           |
"""

import socket
import sys


def wsgi(app):
    from wsgiref.simple_server import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log_message(self, *args):
            pass

    with make_server("127.0.0.1", 0, app, handler_class=Quiet) as server:
        print("port", server.server_port, flush=True)
        server.serve_forever()


def flask_app(name):
    from flask import Flask, redirect, request, url_for

    app = Flask(__name__)

    @app.get("/start")
    def start():
        answer = redirect(url_for("page"))
        answer.set_cookie("sid", name, path="/", httponly=True)
        return answer

    @app.get("/page")
    def page():
        return request.cookies.get("sid", "none")

    @app.get("/absolute")
    def absolute():
        return redirect(url_for("page", _external=True))

    @app.get("/sub/in")
    def sub_in():
        answer = redirect(url_for("sub_at"))
        answer.set_cookie("sub", name, path="/sub")
        return answer

    @app.get("/sub/at")
    def sub_at():
        return request.cookies.get("sub", "none")

    @app.get("/link")
    def link():
        return url_for("page", _external=True)

    return app


def django_app(name):
    import django
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse
    from django.shortcuts import redirect
    from django.urls import path, reverse

    settings.configure(
        SECRET_KEY="for the tests only",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    )
    django.setup()

    def start(request):
        answer = redirect("page")
        answer.set_cookie("sid", name, httponly=True)
        return answer

    def page(request):
        return HttpResponse(request.COOKIES.get("sid", "none"))

    def absolute(request):
        return redirect(request.build_absolute_uri(reverse("page")))

    def sub_in(request):
        answer = redirect("sub_at")
        answer.set_cookie("sub", name, path="/sub")
        return answer

    def sub_at(request):
        return HttpResponse(request.COOKIES.get("sub", "none"))

    def link(request):
        return HttpResponse(request.build_absolute_uri(reverse("page")))

    global urlpatterns
    urlpatterns = [
        path("start", start),
        path("page", page, name="page"),
        path("absolute", absolute),
        path("sub/in", sub_in),
        path("sub/at", sub_at, name="sub_at"),
        path("link", link),
    ]
    return get_wsgi_application()


def fastapi(name):
    import uvicorn
    from fastapi import FastAPI, Request
    from fastapi.responses import PlainTextResponse, RedirectResponse

    app = FastAPI()

    @app.get("/start")
    def start():
        answer = RedirectResponse(app.url_path_for("page"))
        answer.set_cookie("sid", name, httponly=True)
        return answer

    @app.get("/page")
    def page(request: Request):
        return PlainTextResponse(request.cookies.get("sid", "none"))

    @app.get("/absolute")
    def absolute(request: Request):
        return RedirectResponse(request.url_for("page"))

    @app.get("/sub/in")
    def sub_in():
        answer = RedirectResponse(app.url_path_for("sub_at"))
        answer.set_cookie("sub", name, path="/sub")
        return answer

    @app.get("/sub/at")
    def sub_at(request: Request):
        return PlainTextResponse(request.cookies.get("sub", "none"))

    @app.get("/link")
    def link(request: Request):
        return PlainTextResponse(str(request.url_for("page")))

    listener = socket.create_server(("127.0.0.1", 0))
    print("port", listener.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


def twisted(name):
    from twisted.internet import reactor
    from twisted.web.resource import Resource
    from twisted.web.server import Site
    from twisted.web.util import redirectTo

    class Page(Resource):
        isLeaf = True

        def render_GET(self, request):
            host = request.getRequestHostname().decode()
            whole = f"http://{host}:{request.getHost().port}/page".encode()
            match request.path:
                case b"/start":
                    request.addCookie("sid", name, path="/", httpOnly=True)
                    return redirectTo(b"/page", request)
                case b"/page":
                    return request.getCookie(b"sid") or b"none"
                case b"/absolute":
                    # As Twisted makes it: its own port, for it knows of no other.
                    return redirectTo(whole.replace(host.encode(), b"localhost"), request)
                case b"/sub/in":
                    request.addCookie("sub", name, path="/sub")
                    return redirectTo(b"/sub/at", request)
                case b"/sub/at":
                    return request.getCookie(b"sub") or b"none"
                case b"/link":
                    return whole
            request.setResponseCode(404)
            return b""

    port = reactor.listenTCP(0, Site(Page()), interface="127.0.0.1")
    print("port", port.getHost().port, flush=True)
    reactor.run()


if __name__ == "__main__":
    framework, name = sys.argv[1:]
    match framework:
        case "flask":
            wsgi(flask_app(name))
        case "django":
            wsgi(django_app(name))
        case "fastapi":
            fastapi(name)
        case "twisted":
            twisted(name)
