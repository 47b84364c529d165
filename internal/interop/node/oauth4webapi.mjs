// oauth4webapi as a client and as a resource server.
import assert from 'node:assert/strict'
import * as oauth from 'oauth4webapi'
import { party } from './party.mjs'

const overHTTP = { [oauth.allowInsecureRequests]: true } // the issuer is on loopback

/** Reads both metadata documents; they must say the same. */
async function discover(issuer) {
  const [as, openid] = await Promise.all(
    ['oauth2', 'oidc'].map(async (algorithm) => {
      const response = await oauth.discoveryRequest(new URL(issuer), { algorithm, ...overHTTP })
      return oauth.processDiscoveryResponse(new URL(issuer), response)
    }),
  )
  assert.deepEqual({ ...openid, ...as }, openid)
  return as
}

const authentication = {
  client_secret_basic: oauth.ClientSecretBasic,
  client_secret_post: oauth.ClientSecretPost,
}

async function token(job) {
  const as = await discover(job.issuer)
  assert.ok(as.token_endpoint_auth_methods_supported.includes(job.method))
  const client = { client_id: job.client_id }
  const auth = authentication[job.method](job.client_secret)
  const parameters = new URLSearchParams(job.scope && { scope: job.scope })
  const response = await oauth.clientCredentialsGrantRequest(as, client, auth, parameters, overHTTP)
  try {
    return { token: await oauth.processClientCredentialsResponse(as, client, response) }
  } catch (err) {
    // A reply with a challenge is given to the caller with its body unread.
    if (!(err instanceof oauth.WWWAuthenticateChallengeError)) throw err
    assert.equal(err.cause[0].scheme, 'basic')
    assert.deepEqual(err.cause[0].parameters, { realm: 'wardkey', charset: 'UTF-8' })
    const { error, error_description } = await err.response.json()
    return { refused: { status: err.status, error, text: error_description } }
  }
}

async function validate(job) {
  const as = await discover(job.issuer)
  const request = new Request(job.audience, { headers: { authorization: `Bearer ${job.token}` } })
  try {
    return { claims: await oauth.validateJwtAccessToken(as, request, job.audience, overHTTP) }
  } catch (err) {
    const refusals = [oauth.OperationProcessingError, oauth.UnsupportedOperationError]
    if (!refusals.some((refusal) => err instanceof refusal)) throw err
    return { refused: { error: err.code, text: err.message } }
  }
}

await party({ token, validate })
