from wsgiref.validate import validator

from flask import Flask, Response, jsonify, request, session, url_for

app = Flask(__name__)
app.secret_key = "for the tests only"
app.config["MAX_CONTENT_LENGTH"] = 64 * 1024 * 1024


@app.get("/")
def home():
    return jsonify(path=request.path, root=request.root_path, args=request.args.to_dict())


@app.post("/form")
def form():
    session["name"] = request.form["name"]
    return "stored"


@app.get("/name")
def name():
    return session.get("name", "nobody")


@app.post("/json")
def echo_json():
    return jsonify(request.get_json())


@app.post("/upload")
def upload():
    return jsonify(size=sum(len(block) for block in request.files["file"].stream))


@app.get("/stream")
def stream():
    return Response((f"line {n}\n" for n in range(1000)), mimetype="text/plain")


@app.get("/link")
def link():
    return url_for("name", _external=True)


application = validator(app)
