// Checks Wardkey's tokens for nginx: njs 0.7 or later, whose WebCrypto knows ES256 and RS256.
const kinds = {
  ES256: { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  RS256: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
}

// authorize is for auth_request: 204 lets the request pass.
async function authorize(r) {
  const verdict = await check(r).catch(() => invalid)
  if (verdict.challenge) r.headersOut['WWW-Authenticate'] = verdict.challenge
  r.return(verdict.status)
}

const allowed = { status: 204 }
const absent = { status: 401, challenge: 'Bearer' }
const invalid = { status: 401, challenge: 'Bearer error="invalid_token"' }
const insufficient = { status: 403, challenge: 'Bearer error="insufficient_scope"' }
const unavailable = { status: 503 }

async function check(r) {
  const bearer = /^bearer +([\w-]+)\.([\w-]+)\.([\w-]+)$/i.exec(r.headersIn.Authorization || '')
  if (!bearer) return r.headersIn.Authorization ? invalid : absent

  const header = JSON.parse(Buffer.from(bearer[1], 'base64url'))
  if (header.typ !== 'at+jwt' || header.crit || !kinds.hasOwnProperty(header.alg)) return invalid

  const reply = await ngx.fetch(r.variables.wardkey_keys)
  if (reply.status !== 200) return unavailable
  const jwk = (await reply.json()).keys.find((key) => key.kid === header.kid && key.alg === header.alg)
  if (!jwk) return invalid

  const kind = kinds[header.alg]
  const key = await crypto.subtle.importKey('spki', spki(jwk), kind, false, ['verify'])
  const signature = Buffer.from(bearer[3], 'base64url')
  if (!(await crypto.subtle.verify(kind, key, signature, `${bearer[1]}.${bearer[2]}`))) return invalid

  return allows(JSON.parse(Buffer.from(bearer[2], 'base64url')), r.variables)
}

function allows(claims, wanted) {
  if (claims.iss !== wanted.wardkey_issuer) return invalid
  if (![].concat(claims.aud).includes(wanted.wardkey_audience)) return invalid
  if (typeof claims.exp !== 'number' || claims.exp <= Date.now() / 1000) return invalid
  if (claims.nbf !== undefined && !(claims.nbf <= Date.now() / 1000)) return invalid

  if (claims.cnf) return invalid // bound to a key, so not for the bearer alone

  // $wardkey_needs is one list for each thing needed, of what covers it: "a,a-too b,b-too".
  const scope = String(claims.scope).split(' ')
  const held = (values) => values.split(',').some((value) => scope.includes(value))
  return wanted.wardkey_needs.split(' ').every(held) ? allowed : insufficient
}

// spki writes a public key as DER, because njs imports no JWK before 0.7.10.
function spki(jwk) {
  if (jwk.kty === 'EC') {
    return Buffer.concat([hex('3059301306072a8648ce3d020106082a8648ce3d03010703420004'), bytes(jwk.x), bytes(jwk.y)])
  }
  const key = der('30', [der('02', [hex('00'), bytes(jwk.n)]), der('02', [hex('00'), bytes(jwk.e)])])
  return der('30', [hex('300d06092a864886f70d0101010500'), der('03', [hex('00'), key])])
}

function der(tag, parts) {
  const value = Buffer.concat(parts)
  const length = Buffer.from([value.length >> 8, value.length & 255])
  if (value.length > 255) return Buffer.concat([hex(tag + '82'), length, value])
  return Buffer.concat([hex(value.length > 127 ? tag + '81' : tag), length.slice(1), value])
}

function hex(text) {
  return Buffer.from(text, 'hex')
}

function bytes(text) {
  return Buffer.from(text, 'base64url')
}

export default { authorize }
