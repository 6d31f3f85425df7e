// The environment of the network, checked once.

const need = (name) => {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is not set. network.mjs lists what it needs.`)
  return value
}

const port = (name) => {
  const value = Number(need(name))
  if (!Number.isInteger(value) || value < 1 || value > 65535) {
    throw new Error(`${name} must be a port number, not ${process.env[name]}`)
  }
  return value
}

const accounts = () => {
  const text = process.env.ACCOUNTS || '[]'
  let list
  try {
    list = JSON.parse(text)
  } catch {
    throw new Error('ACCOUNTS is not JSON') // the text holds passwords, so it is not shown
  }
  for (const { handle, password } of list) {
    if (!handle?.endsWith('.test')) {
      throw new Error(`handle ${handle} in ACCOUNTS must end in .test, the only domain served here`)
    }
    if (!password) throw new Error(`${handle} has no password in ACCOUNTS`)
  }
  return list
}

export const readSettings = () => ({
  plcPort: port('PLC_PORT'),
  pdsPort: port('PDS_PORT'),
  appviewPort: port('APPVIEW_PORT'),
  databaseUrl: need('DATABASE_URL'),
  folder: need('DATA_FOLDER'),
  rateLimits: !['0', 'false', 'off'].includes((process.env.RATE_LIMITS ?? '').toLowerCase()),
  accounts: accounts(),
})
