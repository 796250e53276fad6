"""One Flask view that answers JSON."""
from flask import Flask, jsonify, request

application = Flask(__name__)


@application.get("/")
def index():
    return jsonify(message="Hello World", path=request.path)
