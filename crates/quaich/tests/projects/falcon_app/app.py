from wsgiref.validate import validator

import falcon


class Things:
    def on_get(self, request, response, number):
        response.media = {"number": number, "query": request.params, "prefix": request.root_path}

    def on_put(self, request, response, number):
        response.media = {"stored": len(request.bounded_stream.read(1 << 20))}


class Missing:
    def on_get(self, request, response):
        raise falcon.HTTPNotFound(title="no such cup")


app = falcon.App()
app.add_route("/things/{number:int}", Things())
app.add_route("/missing", Missing())

application = validator(app)
