"""A resource server that checks Wardkey's tokens with PyJWT: WSGI middleware, so that it stands
before Flask, Django and whatever else speaks WSGI."""

import os
import socket
import sys
import time
from wsgiref.simple_server import make_server

import jwt

ISSUER, AUDIENCE = os.environ["ISSUER"], os.environ["AUDIENCE"]
NEEDED = [{"section:nordic", "section:*"}, {"email:read", "*:read"}]  # one of each

socket.setdefaulttimeout(5)  # this PyJWT has no timeout of its own


class Keys:
    """The issuer's keys, which are fetched again when they are old, and go on to be used while the
    issuer is away. An unknown kid is no reason to fetch them, as for get_signing_key_from_jwt:
    Wardkey publishes a key before it signs with it, and a stranger can invent any number."""

    client = jwt.PyJWKClient(ISSUER + "/.well-known/jwks.json", cache_jwk_set=False)
    last, old = None, 0

    def get(self, kid):
        now = time.monotonic()
        if now >= self.old:
            self.old = now + 5  # if that fails, the next try
            try:
                self.last = {key.key_id: key.key for key in self.client.get_signing_keys()}
                self.old = now + int(os.environ["KEYS_AGE"])
            except (jwt.PyJWTError, OSError, ValueError) as err:
                print("fetch keys:", err, file=sys.stderr)
        if self.last is None:
            raise Unavailable
        return self.last.get(kid)


keys = Keys()


class Unavailable(Exception):
    pass


class Refused(Exception):
    def __init__(self, status, challenge):
        self.status, self.headers = status, [("WWW-Authenticate", challenge)]


def scope_of(token):
    header = jwt.get_unverified_header(token)
    if header.get("typ") != "at+jwt":  # PyJWT does not look at it
        raise jwt.InvalidTokenError("not an access token")
    key = keys.get(header.get("kid"))
    if key is None:
        raise jwt.InvalidTokenError("unknown kid")
    claims = jwt.decode(
        token,
        key,
        algorithms=["ES256", "RS256", "EdDSA"],
        issuer=ISSUER,
        audience=AUDIENCE,
        options={"require": ["iss", "aud", "exp", "sub"]},  # what is not required may be absent
    )
    if "cnf" in claims:
        raise jwt.InvalidTokenError("bound to a key, so not for the bearer alone")
    return set(str(claims.get("scope")).split(" "))


def check(environ):
    scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() != "bearer":
        raise Refused("401 Unauthorized", "Bearer")
    try:
        scope = scope_of(token)
    except Unavailable:
        raise Refused("503 Service Unavailable", "Bearer")
    except Exception:  # PyJWT raises TypeError and others too when a token is odd enough
        raise Refused("401 Unauthorized", 'Bearer error="invalid_token"')
    if not all(scope & values for values in NEEDED):
        raise Refused("403 Forbidden", 'Bearer error="insufficient_scope"')


def protected(app):
    def checked(environ, start_response):
        try:
            check(environ)
        except Refused as refused:
            start_response(refused.status, refused.headers)
            return [b""]
        return app(environ, start_response)

    return checked


@protected
def profiles(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello\n"]


make_server("127.0.0.1", int(os.environ["PORT"]), profiles).serve_forever()
