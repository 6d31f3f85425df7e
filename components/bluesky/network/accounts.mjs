// The accounts a stack asks for: made where missing, with the password and profile it says.

import { AtpAgent } from '@atproto/api'

const PROFILE = 'app.bsky.actor.profile'

export const ensureAccounts = async ({ pds, appview, accounts, secrets, limits }) => {
  const agent = () => {
    const made = new AtpAgent({ service: pds.url })
    // Start-up must not spend the write budget of the bot.
    made.setHeader('x-ratelimit-bypass', limits.bypassKey)
    return made
  }
  for (const account of accounts) {
    const { handle } = account
    const session = agent()
    const existing = await pds.server.ctx.accountManager.getAccount(handle)
    if (existing) {
      await login(session, account).catch(async (error) => {
        if (error.status !== 401) throw error
        await setPassword(agent(), existing.did, account.password, secrets.adminPassword)
        await login(session, account)
      })
    } else {
      const email = account.email ?? `${handle.replaceAll('.', '-')}@example.com`
      await session.createAccount({ handle, email, password: account.password })
    }
    await ensureProfile(session, account)
    await untilServed(`${appview.url}/xrpc/app.bsky.actor.getProfile?actor=${session.did}`, handle)
  }
}

const login = (session, { handle, password }) => session.login({ identifier: handle, password })

const setPassword = (agent, did, password, adminPassword) =>
  agent.com.atproto.admin.updateAccountPassword(
    { did, password },
    {
      headers: {
        authorization: `Basic ${Buffer.from(`admin:${adminPassword}`).toString('base64')}`,
      },
      encoding: 'application/json',
    },
  )

const ensureProfile = async (session, { handle, displayName, description, bot }) => {
  const record = { $type: PROFILE, displayName: displayName ?? handle.split('.')[0], description }
  if (bot) {
    record.labels = {
      $type: 'com.atproto.label.defs#selfLabels',
      values: [{ val: 'bot' }],
    }
  }
  const where = { repo: session.did, collection: PROFILE, rkey: 'self' }
  // The account may edit its profile later, so an existing one stays as it is.
  const exists = await session.com.atproto.repo.getRecord(where).then(
    () => true,
    () => false,
  )
  if (!exists) await session.com.atproto.repo.putRecord({ ...where, record })
}

const untilServed = async (url, handle) => {
  for (;;) {
    const answer = await fetch(url).catch(() => null)
    if (answer?.ok && (await answer.json()).handle === handle) return
    await answer?.body?.cancel()
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
