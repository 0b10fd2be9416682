"""Stands in front of Keystone, as tests.sandbox.echo_tls:wrap, and says what the server knows of the client."""

import json

PATH = "/what-the-server-knows"


def wrap(app):
    """Answers PATH with the environment that an application would see; leaves the rest to Keystone."""

    def call(environ, start_response):
        if environ["PATH_INFO"] != PATH:
            return app(environ, start_response)
        start_response("200 OK", [("Content-Type", "application/json")])
        known = {name: value for name, value in environ.items() if isinstance(value, str)}
        return [json.dumps(known).encode()]

    return call
