// openid-client as a client.
import * as client from 'openid-client'
import { party } from './party.mjs'

const authentication = {
  'its default': undefined,
  client_secret_basic: client.ClientSecretBasic,
  client_secret_post: client.ClientSecretPost,
}

async function token(job) {
  const config = await client.discovery(
    new URL(job.issuer),
    job.client_id,
    job.client_secret,
    authentication[job.method]?.(job.client_secret),
    { execute: [client.allowInsecureRequests] }, // the issuer is on loopback
  )
  try {
    return { token: await client.clientCredentialsGrant(config, job.scope && { scope: job.scope }) }
  } catch (err) {
    if (!(err instanceof client.WWWAuthenticateChallengeError)) throw err
    const { error, error_description } = await err.response.json()
    return { refused: { status: err.status, error, text: error_description } }
  }
}

await party({ token })
