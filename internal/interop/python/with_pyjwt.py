"""PyJWT as a resource server."""

import jwt

from party import party


def validate(job):
    try:
        key = jwt.PyJWKClient(job["jwks_uri"]).get_signing_key_from_jwt(job["token"])
        claims = jwt.decode(
            job["token"],
            key.key,
            algorithms=["ES256", "RS256", "EdDSA"],
            issuer=job["issuer"],
            audience=job["audience"],
            options={"require": ["iss", "sub", "aud", "iat", "exp", "jti"]},
        )
    except (jwt.PyJWTError, TypeError) as err:  # TypeError: alg is not for this kind of key
        return {"refused": {"error": type(err).__name__, "text": str(err)}}
    return {"claims": claims}


party(validate=validate)
