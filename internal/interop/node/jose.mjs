// jose as a resource server.
import { createRemoteJWKSet, errors, jwtVerify } from 'jose'
import { party } from './party.mjs'

async function validate(job) {
  const keys = createRemoteJWKSet(new URL(job.jwks_uri))
  try {
    const { payload } = await jwtVerify(job.token, keys, {
      typ: 'at+jwt',
      issuer: job.issuer,
      audience: job.audience,
      requiredClaims: ['sub', 'client_id', 'iat', 'exp', 'jti', 'scope'],
    })
    return { claims: payload }
  } catch (err) {
    if (!(err instanceof errors.JOSEError) || err instanceof errors.JWKSTimeout) throw err
    return { refused: { error: err.code, text: err.message } }
  }
}

await party({ validate })
