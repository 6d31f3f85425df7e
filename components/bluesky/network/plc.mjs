// The directory of DIDs, in PostgreSQL.

import { Client } from '@did-plc/lib'
import plc from '@did-plc/server'

export const startPlc = async ({ port, databaseUrl }) => {
  const db = plc.Database.postgres({ url: databaseUrl, schema: 'plc' })
  await db.migrateToLatestOrThrow()
  const server = plc.PlcServer.create({ db, port })
  await server.start()
  const url = `http://localhost:${port}`
  return { url, client: new Client(url), close: () => server.destroy() }
}
