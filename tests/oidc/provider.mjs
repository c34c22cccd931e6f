// Serves oidc-provider over TLS: node provider.mjs FOLDER CONFIGURATION; prints its port, ends with its stdin.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { pathToFileURL } from 'node:url'

const [folder, configuration] = process.argv.slice(2)
const { default: Provider } = await import(pathToFileURL(`${folder}/node_modules/oidc-provider/lib/index.js`))
const { clients, chain, ca } = JSON.parse(readFileSync(configuration, 'utf8'))
const options = { key: chain, cert: chain, ca, requestCert: true, rejectUnauthorized: false }
const server = createServer(options)

server.listen(0, '127.0.0.1', () => {
  const issuer = `https://localhost:${server.address().port}`
  const provider = new Provider(issuer, {
    clients,
    clientAuthMethods: ['client_secret_basic', 'private_key_jwt', 'tls_client_auth'],
    enabledJWA: { clientAuthSigningAlgValues: ['RS256', 'PS256', 'ES256'] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      mTLS: {
        enabled: true,
        tlsClientAuth: true,
        getCertificate: (ctx) => ctx.socket.getPeerX509Certificate?.(),
        certificateAuthorized: (ctx) => ctx.socket.authorized,
        certificateSubjectMatches: (ctx, property, expected) =>
          property === 'tls_client_auth_san_dns' &&
          ctx.socket.getPeerCertificate().subjectaltname.split(', ').includes(`DNS:${expected}`),
      },
    },
  })
  server.on('request', provider.callback())
  console.log(server.address().port)
})
process.stdin.on('end', () => process.exit()).resume()
