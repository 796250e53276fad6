"""Objects that are applications, make applications, or are neither."""


class nested:
    @staticmethod
    def app(environ, start_response):
        return []


def create_app():
    return nested.app


def raises():
    return {}["SETTING"]


def gives_none():
    return None


number = 7


async def asgi(scope, receive, send):
    pass


class Asgi:
    async def __call__(self, scope, receive, send):
        pass


asgi_object = Asgi()
