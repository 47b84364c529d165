// The SDK of the Model Context Protocol as a client that knows an API's address and its own
// credentials, and finds out the rest.
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { ClientCredentialsProvider } from '@modelcontextprotocol/sdk/client/auth-extensions.js'
import { OAuthError } from '@modelcontextprotocol/sdk/server/auth/errors.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { party } from './party.mjs'

async function call(job) {
  const authProvider = new ClientCredentialsProvider({
    clientId: job.client_id,
    clientSecret: job.client_secret,
    scope: job.scope,
    expectedIssuer: job.issuer,
  })
  const client = new Client({ name: 'wardkey-interop', version: '1' })
  try {
    await client.connect(new StreamableHTTPClientTransport(new URL(job.audience), { authProvider }))
    await client.close()
    return { token: authProvider.tokens() }
  } catch (err) {
    if (!(err instanceof OAuthError)) throw err
    return { refused: { error: err.errorCode, text: err.message } }
  }
}

await party({ call })
