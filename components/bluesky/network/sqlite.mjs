// The PDS expects better-sqlite3, which has to be compiled. package.json puts libsql in its place,
// which npm delivers ready built. They differ in one thing that matters: libsql reads blobs as
// ArrayBuffer, better-sqlite3 as Buffer. Must be imported before the PDS.

import Database from 'better-sqlite3'

const withBuffers = (row) => {
  for (const column in row) {
    if (row[column] instanceof ArrayBuffer) row[column] = Buffer.from(row[column])
  }
  return row
}

const memory = new Database(':memory:')
const statement = Object.getPrototypeOf(memory.prepare('select 1'))
memory.close()

const { get, iterate } = statement

statement.get = function (...values) {
  return withBuffers(get.apply(this, values))
}

statement.iterate = function* (...values) {
  for (const row of iterate.apply(this, values)) yield withBuffers(row)
}
