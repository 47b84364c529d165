// A resource server that checks Wardkey's tokens with express-oauth2-jwt-bearer.
import express from 'express'
import { auth, scopeIncludesAny } from 'express-oauth2-jwt-bearer'

const { ISSUER, AUDIENCE, PORT, KEYS_AGE } = process.env

const accessToken = auth({
  issuer: ISSUER,
  jwksUri: `${ISSUER}/.well-known/jwks.json`,
  audience: AUDIENCE,
  strict: true, // without it, typ is not looked at
  validators: {
    alg: (alg) => ['ES256', 'RS256', 'EdDSA'].includes(alg),
    cnf: (cnf) => cnf === undefined, // otherwise it is bound to a key, so not for the bearer alone
  },
  clockTolerance: 0,
  cacheMaxAge: KEYS_AGE * 1000,
})

const app = express()

// The middleware takes a token from the query too, where logs and histories keep it.
app.use((req, res, next) => ('access_token' in req.query ? res.sendStatus(400) : next()))

app.get(
  '/sections/nordic/profiles',
  accessToken,
  scopeIncludesAny('section:nordic section:*'),
  scopeIncludesAny('email:read *:read'),
  (req, res) => res.send('hello\n'),
)

// Express's own error handler would show stack traces to whoever sends a bad token.
app.use((err, req, res, next) => res.status(err.status ?? 503).set(err.headers).end())

app.listen(PORT, '127.0.0.1')
