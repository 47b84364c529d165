// A resource server that checks Wardkey's tokens with jose, and whether they were revoked.
import { createServer } from 'node:http'
import { promisify } from 'node:util'
import { inflate } from 'node:zlib'
import { createRemoteJWKSet, errors, jwtVerify } from 'jose'

const { ISSUER, AUDIENCE, PORT, KEYS_AGE, STATUS_AGE } = process.env

const keys = createRemoteJWKSet(new URL(`${ISSUER}/.well-known/jwks.json`), { cacheMaxAge: Infinity })
await keys.reload()
setInterval(() => keys.reload().catch(console.error), KEYS_AGE * 1000)

const profile = {
  issuer: ISSUER,
  audience: AUDIENCE,
  typ: 'at+jwt',
  algorithms: ['ES256', 'RS256', 'EdDSA'],
  requiredClaims: ['exp', 'sub', 'client_id', 'status'], // what is not required may be absent, exp too
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
    if (await revoked(payload.status.status_list)) return invalid
    const scope = String(payload.scope).split(' ')
    return needed.every((values) => values.some((value) => scope.includes(value))) ? allowed : insufficient
  } catch (err) {
    // These say nothing about the token: what is no error of jose's, and its timeout.
    return err instanceof errors.JOSEError && !(err instanceof errors.JWKSTimeout) ? invalid : unavailable
  }
}

/** Says whether the bit of a token is set (Token Status List, §8.3). */
async function revoked({ idx, uri }) {
  const { bits } = await list(uri)
  return (bits[idx >> 3] >> (idx & 7)) & 1
}

const lists = new Map() // by address

/** Returns a list that is not older than STATUS_AGE seconds; all requests wait for one fetch. */
function list(uri) {
  let known = lists.get(uri)
  if (!known || known.old < Date.now()) {
    const last = known?.list
    known = { old: Date.now() + STATUS_AGE * 1000, list: fetchList(uri).catch((err) => stillGood(last, err)) }
    lists.set(uri, known)
  }
  return known.list
}

/** Goes on with the last list until it ends, while there is no other. */
async function stillGood(last, err) {
  const list = await last
  if (list?.exp > Date.now() / 1000) return list
  throw err
}

async function fetchList(uri) {
  if (!uri.startsWith(`${ISSUER}/oauth/status/`)) throw new Error('a list of somebody else')
  const res = await fetch(uri, { redirect: 'error', signal: AbortSignal.timeout(5000) })
  if (!res.ok) throw new Error(`${uri}: ${res.status}`)
  // It is signed, so that no cache on the way can give an old one or another.
  const must = { subject: uri, typ: 'statuslist+jwt', algorithms: profile.algorithms, requiredClaims: ['exp'] }
  const { payload } = await jwtVerify(await res.text(), keys, must).catch((err) => {
    throw new Error(`${uri}: ${err.message}`) // which is not the token's fault
  })
  return { exp: payload.exp, bits: await promisify(inflate)(Buffer.from(payload.status_list.lst, 'base64url')) }
}

createServer(async (req, res) => {
  const { status, challenge } = await check(req)
  if (challenge) res.setHeader('WWW-Authenticate', challenge)
  res.writeHead(status).end(status === 200 ? 'hello\n' : '')
}).listen(PORT, '127.0.0.1')
