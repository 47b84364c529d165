// A resource server that checks Wardkey's tokens with jose.
import { createServer } from 'node:http'
import { createRemoteJWKSet, errors, jwtVerify } from 'jose'

const { ISSUER, AUDIENCE, PORT, KEYS_AGE } = process.env

// jose would fetch keys that are too old when a token arrives, and refuse all while the issuer is
// away. Here the last ones are used until they can be had again.
const keys = createRemoteJWKSet(new URL(`${ISSUER}/.well-known/jwks.json`), { cacheMaxAge: Infinity })
await keys.reload()
setInterval(() => keys.reload().catch(console.error), KEYS_AGE * 1000)

const profile = {
  issuer: ISSUER,
  audience: AUDIENCE,
  typ: 'at+jwt',
  algorithms: ['ES256', 'RS256', 'EdDSA'],
  requiredClaims: ['exp', 'sub', 'client_id'], // what is not required may be absent, exp too
}
const needed = [['section:nordic', 'section:*'], ['email:read', '*:read']] // one of each

const allowed = { status: 200 }
const absent = { status: 401, challenge: 'Bearer' }
const invalid = { status: 401, challenge: 'Bearer error="invalid_token"' }
const insufficient = { status: 403, challenge: 'Bearer error="insufficient_scope"' }
const unavailable = { status: 503 }

async function check(req) {
  const [field, another] = req.headersDistinct.authorization ?? []
  const [, token] = /^bearer +(\S+)$/i.exec(field) ?? []
  if (!token || another) return absent
  try {
    const { payload } = await jwtVerify(token, keys, profile)
    if (payload.cnf) return invalid // bound to a key, so not for the bearer alone
    const scope = String(payload.scope).split(' ')
    return needed.every((values) => values.some((value) => scope.includes(value))) ? allowed : insufficient
  } catch (err) {
    // These say nothing about the token: what is no error of jose's, and its timeout.
    return err instanceof errors.JOSEError && !(err instanceof errors.JWKSTimeout) ? invalid : unavailable
  }
}

createServer(async (req, res) => {
  const { status, challenge } = await check(req)
  if (challenge) res.setHeader('WWW-Authenticate', challenge)
  res.writeHead(status).end(status === 200 ? 'hello\n' : '')
}).listen(PORT, '127.0.0.1')
