// What makes a network the same one after a restart: its keys and secrets, and the DID of its
// AppView. Made once, kept in the data folder, readable by the owner only.

import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'

const newKey = () => randomBytes(32).toString('hex')

export class Identity {
  #file

  constructor(folder) {
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 })
    this.#file = path.join(folder, 'identity.json')
    this.isNew = !fs.existsSync(this.#file)
    this.values = this.isNew
      ? {
          rotationKey: newKey(),
          appviewKey: newKey(),
          jwtSecret: newKey(),
          dpopSecret: newKey(),
          adminPassword: newKey(),
        }
      : JSON.parse(fs.readFileSync(this.#file, 'utf8'))
  }

  // By rename, so that a crash leaves the old file or the new one, never half of one.
  save(changes = {}) {
    Object.assign(this.values, changes)
    const draft = `${this.#file}.new`
    fs.writeFileSync(draft, JSON.stringify(this.values), { mode: 0o600 })
    fs.renameSync(draft, this.#file)
  }
}
