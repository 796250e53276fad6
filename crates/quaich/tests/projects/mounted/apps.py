"""The site as apps of quaich: they are told where they are by SCRIPT_NAME."""

from site_in_frameworks import flask_app

red = flask_app("red")
blue = flask_app("blue")
