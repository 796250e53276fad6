from wsgiref.validate import validator

from bottle import Bottle, request, response

app = Bottle()


@app.get("/hello/<name>")
def hello(name):
    response.set_cookie("seen", name)
    return {"name": name, "seen": request.get_cookie("seen"), "script": request.script_name}


@app.post("/form")
def form():
    return request.forms.getunicode("text")


application = validator(app)
