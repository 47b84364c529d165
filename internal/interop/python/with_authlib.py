"""Authlib as a client and as a resource server."""

import requests
from authlib.integrations.requests_client import OAuth2Session, OAuthError
from authlib.jose import JsonWebKey, JsonWebToken
from authlib.jose.errors import JoseError
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url

from party import party


def discover(issuer):
    document = requests.get(get_well_known_url(issuer, external=True)).json()
    metadata = AuthorizationServerMetadata(document)
    metadata.validate()
    return metadata


def token(job):
    session = OAuth2Session(
        job["client_id"],
        job["client_secret"],
        token_endpoint_auth_method=job["method"],
        scope=job["scope"] or None,
    )
    endpoint = discover(job["issuer"])["token_endpoint"]
    try:
        return {"token": session.fetch_token(endpoint, grant_type="client_credentials")}
    except OAuthError as err:
        return {"refused": {"error": err.error, "text": err.description}}


def validate(job):
    jwks = requests.get(discover(job["issuer"])["jwks_uri"]).json()
    jwt = JsonWebToken(["ES256", "RS256", "EdDSA"])
    options = {name: {"essential": True} for name in ("sub", "iat", "exp", "jti", "scope")}
    options["iss"] = {"essential": True, "value": job["issuer"]}
    options["aud"] = {"essential": True, "value": job["audience"]}
    try:
        claims = jwt.decode(job["token"], JsonWebKey.import_key_set(jwks), claims_options=options)
        claims.validate()
    # ValueError: no key has this kid. KeyError: alg is not for this kind of key.
    except (JoseError, ValueError, KeyError) as err:
        return {"refused": {"error": type(err).__name__, "text": str(err)}}
    return {"claims": claims}


party(token=token, validate=validate)
