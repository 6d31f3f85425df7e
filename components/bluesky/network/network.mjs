// A Bluesky network for one machine: PLC directory, PDS and AppView in one process, on loopback.
//
// Environment
//   PLC_PORT, PDS_PORT, APPVIEW_PORT   ports on 127.0.0.1
//   DATABASE_URL   PostgreSQL database for its schemas `plc` and `appview`, created when missing
//   DATA_FOLDER    accounts, posts, blobs and keys; the same folder and database make the same
//                  network again, also after a crash
//   ACCOUNTS       JSON list of {handle, password, email?, displayName?, bot?} to have at start
//   RATE_LIMITS    `off` lifts the limits of a PDS, which are those of bsky.social by default
//
// GET /readyz on PDS_PORT answers 200 once the accounts exist and the AppView serves them.
// SIGTERM stops it. Its log is standard error.

import './loopback.mjs'
import './sqlite.mjs'
import { randomUUID } from 'node:crypto'
import { ensureAccounts } from './accounts.mjs'
import { dropOldNetwork, registerAppView, startAppView } from './appview.mjs'
import { isTransient } from './database.mjs'
import { Identity } from './identity.mjs'
import { createPds, resolveHandlesBy } from './pds.mjs'
import { startPlc } from './plc.mjs'
import { readSettings } from './settings.mjs'

const STOP_MS = 3000

const say = (text) => console.error(`bluesky: ${text}`)

const fail = (error) => {
  say(error instanceof Error ? error.message : String(error))
  process.exit(1)
}

let ready = false

// Crash on the unexpected: everything is on disk and a restart takes seconds. But connections that
// PostgreSQL ends while it restarts are made anew when needed.
const onError = (error) => {
  if (ready && isTransient(error)) say(`lost a connection: ${error.message}`)
  else fail(error)
}
process.on('uncaughtException', onError)
process.on('unhandledRejection', onError)
process.umask(0o077)
process.noDeprecation = true // warnings for the authors of the packages

const settings = readSettings()
const { plcPort, pdsPort, appviewPort, databaseUrl, folder } = settings
const identity = new Identity(folder)
const secrets = identity.values
const limits = { enabled: settings.rateLimits, bypassKey: randomUUID() }

const ports = `${plcPort},${pdsPort},${appviewPort}`
if (!identity.isNew && secrets.ports !== ports) {
  throw new Error(`this network is on ports ${secrets.ports}, which its DIDs name, not on ${ports}`)
}
if (identity.isNew) await dropOldNetwork(databaseUrl)

const plc = await startPlc({ port: plcPort, databaseUrl })
const did = await registerAppView({ plc, port: appviewPort, secrets })
if (identity.isNew) identity.save({ ports, appviewDid: did })

const appview = await startAppView({
  port: appviewPort,
  did,
  plcUrl: plc.url,
  pdsPort,
  databaseUrl,
  secrets,
})
const server = await createPds({
  port: pdsPort,
  folder,
  secrets,
  plcUrl: plc.url,
  appview: { url: appview.url, did },
  limits,
})
resolveHandlesBy(server, server.ctx.idResolver, ...appview.idResolvers)

server.app.get('/readyz', async (_request, response) => {
  const healthy = ready && (await fetch(`${appview.url}/xrpc/_health`).catch(() => null))?.ok
  response.status(healthy ? 200 : 503).json({ ready: Boolean(healthy) })
})
await server.start()
appview.follow()

let stopping = false
const stop = async (signal) => {
  if (stopping) return
  stopping = true
  ready = false
  setTimeout(() => process.exit(0), STOP_MS).unref()
  await appview.close()
  await server.destroy()
  await plc.close()
  say(`stopped by ${signal}`)
  process.exit(0)
}
process.on('SIGTERM', stop)
process.on('SIGINT', stop)

await ensureAccounts({
  pds: { url: `http://127.0.0.1:${pdsPort}`, server },
  appview,
  accounts: settings.accounts,
  secrets,
  limits,
})
ready = true
say(`ready after ${process.uptime().toFixed(1)} s: http://127.0.0.1:${pdsPort}`)
