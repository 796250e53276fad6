"""A Flask app; quaich serves `static/` without asking it."""

from flask import Flask, render_template, request

app = Flask(__name__)


@app.get("/")
def home():
    return render_template("home.html", name=request.args.get("name", "guest"))
