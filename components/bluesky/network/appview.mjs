// The server that indexes posts and answers with threads, profiles and notifications. Its index is
// in PostgreSQL; indexing a record and its notifications is one transaction and idempotent, so
// reading some events of the PDS twice after a crash is harmless.

import { setTimeout as sleep } from 'node:timers/promises'
import { Secp256k1Keypair } from '@atproto/crypto'
import bsky from '@atproto/bsky'
import { isTransient } from './database.mjs'

const SCHEMA = 'appview'
const CURSOR_SAVE_MS = 250
const RETRY_MS = 500
const ATTEMPTS = 4

const signingKey = (secrets) => Secp256k1Keypair.import(secrets.appviewKey)

const onDatabase = async (url, use) => {
  const db = new bsky.Database({ url, schema: SCHEMA })
  try {
    return await use(db)
  } finally {
    await db.close()
  }
}

// A network with new keys can use nothing of an older one in the same database.
export const dropOldNetwork = (databaseUrl) =>
  onDatabase(databaseUrl, (db) =>
    db.pool.query('drop schema if exists appview cascade; drop schema if exists plc cascade'),
  )

export const registerAppView = async ({ plc, port, secrets }) => {
  if (secrets.appviewDid) {
    await plc.client.getDocumentData(secrets.appviewDid).catch(() => {
      throw new Error(
        'the data folder and the database belong to different networks. Delete the data folder.',
      )
    })
    return secrets.appviewDid
  }
  const signer = await signingKey(secrets)
  const endpoint = `http://localhost:${port}`
  const did = await plc.client.createDid({
    signingKey: signer.did(),
    rotationKeys: [signer.did()],
    handle: 'appview.test',
    pds: endpoint,
    signer,
  })
  await plc.client.updateData(did, signer, (document) => {
    document.services.bsky_notif = { type: 'BskyNotificationService', endpoint }
    document.services.bsky_appview = { type: 'BskyAppView', endpoint }
    return document
  })
  return did
}

export const startAppView = async ({ port, did, plcUrl, pdsPort, databaseUrl, secrets }) => {
  await onDatabase(databaseUrl, (db) => db.migrateToLatestOrThrow())

  const url = `http://localhost:${port}`
  const db = new bsky.Database({ url: databaseUrl, schema: SCHEMA, poolSize: 10 })
  const dataplane = await bsky.DataPlaneServer.create(db, 0, plcUrl)
  const bsync = await bsky.MockBsync.create(db, 0)
  const config = new bsky.ServerConfig({
    version: 'local',
    port,
    publicUrl: url,
    serverDid: did,
    alternateAudienceDids: [],
    didPlcUrl: plcUrl,
    etcdHosts: [],
    dataplaneUrls: [`http://127.0.0.1:${dataplane.server.address().port}`],
    dataplaneHttpVersion: '1.1',
    bsyncUrl: `http://127.0.0.1:${bsync.server.address().port}`,
    bsyncHttpVersion: '1.1',
    modServiceDid: 'did:example:moderator',
    labelsFromIssuerDids: [],
    adminPasswords: [secrets.adminPassword],
    disableSsrfProtection: true,
    maxThreadParents: 50,
    bigThreadUris: new Set(),
    searchTagsHide: new Set(),
    threadTagsBumpDown: new Set(),
    threadTagsHide: new Set(),
    visibilityTagHide: '',
    visibilityTagRankPrefix: '',
    debugFieldAllowedDids: new Set(),
    draftsLimit: 500,
  })
  const server = bsky.BskyAppView.create({ config, signingKey: await signingKey(secrets) })
  await server.start()

  const subscription = new bsky.RepoSubscription({
    service: `ws://127.0.0.1:${pdsPort}`,
    db,
    idResolver: dataplane.idResolver,
  })
  const cursor = await Cursor.open(db)
  cursor.attach(subscription)
  surviveDatabaseRestarts(subscription)

  return {
    url,
    idResolvers: [server.ctx.idResolver, dataplane.idResolver],
    follow: () => subscription.start(),
    close: async () => {
      await subscription.destroy()
      await cursor.close()
      await server.destroy()
      await Promise.all([bsync.destroy(), dataplane.destroy()])
      await db.close()
    },
  }
}

// How far the PDS has been read. The AppView itself remembers this in memory only. Kept next to the
// index, so that both are lost or kept together.
class Cursor {
  #db
  #timer
  #saved

  static async open(db) {
    await db.pool.query(
      `create table if not exists ${SCHEMA}.firehose_cursor (one boolean primary key, seq bigint not null)`,
    )
    const { rows } = await db.pool.query(`select seq from ${SCHEMA}.firehose_cursor`)
    return new Cursor(db, rows[0]?.seq ?? 0)
  }

  constructor(db, seq) {
    this.#db = db
    this.seq = this.#saved = seq
  }

  attach({ runner }) {
    runner.cursor = this.seq
    runner.opts.setCursor = async (seq) => {
      this.seq = seq
    }
    this.#timer = setInterval(() => this.#save().catch(() => {}), CURSOR_SAVE_MS) // next time
  }

  async #save() {
    const { seq } = this
    if (seq === this.#saved) return
    await this.#db.pool.query(
      `insert into ${SCHEMA}.firehose_cursor values (true, $1)
       on conflict (one) do update set seq = excluded.seq`,
      [seq],
    )
    this.#saved = seq
  }

  async close() {
    clearInterval(this.#timer)
    await this.#save().catch(() => {}) // then a few events are read again
  }
}

// The AppView skips an event whose indexing fails. That is right for a malformed record and wrong
// while PostgreSQL restarts, when the event has to wait.
const surviveDatabaseRestarts = ({ firehose }) => {
  const index = firehose.opts.handleEvent
  firehose.opts.handleEvent = async (event) => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await index(event)
      } catch (error) {
        if (!isTransient(error) && attempt >= ATTEMPTS) throw error
        await sleep(RETRY_MS)
      }
    }
  }
  firehose.opts.onError = (error) =>
    console.error(`bluesky: skipped an event: ${(error.cause ?? error).message}`)
}
