// The server that holds accounts and their repositories, in SQLite files of the data folder.

import fs from 'node:fs'
import path from 'node:path'
import pds from '@atproto/pds'

const TEN_YEARS_MS = 10 * 365 * 86_400_000

export const createPds = async ({ port, folder, secrets, plcUrl, appview, limits }) => {
  const dataDirectory = path.join(folder, 'pds')
  fs.mkdirSync(dataDirectory, { recursive: true })
  const settings = {
    devMode: true, // http instead of https
    port,
    hostname: 'localhost',
    serviceName: 'Local Bluesky',
    serviceHandleDomains: ['.test'],
    dataDirectory,
    blobstoreDiskLocation: path.join(folder, 'blobs'),
    blobstoreDiskTmpLocation: path.join(folder, 'blobs.tmp'), // same disk: blobs move by rename
    didPlcUrl: plcUrl,
    plcRotationKeyK256PrivateKeyHex: secrets.rotationKey,
    jwtSecret: secrets.jwtSecret,
    dpopSecret: secrets.dpopSecret,
    adminPassword: secrets.adminPassword,
    inviteRequired: false,
    disableSsrfProtection: true,
    bskyAppViewUrl: appview.url,
    bskyAppViewDid: appview.did,
    bskyAppViewCdnUrlPattern: `${appview.url}/img/%s/plain/%s/%s@jpeg`,
    modServiceUrl: 'https://moderator.invalid',
    modServiceDid: 'did:example:moderator',
    rateLimitsEnabled: limits.enabled,
    rateLimitBypassKey: limits.bypassKey,
    // The default is a day. An AppView with an empty index must be able to read everything.
    repoBackfillLimitMs: TEN_YEARS_MS,
    // The default of 500 drops an AppView that falls behind in a storm of posts.
    maxSubscriptionBuffer: 50_000,
  }
  return pds.PDS.create(pds.envToCfg(settings), pds.envToSecrets(settings))
}

// Handles are known to the PDS of this process: no DNS and no request leaves the machine.
export const resolveHandlesBy = (server, ...resolvers) => {
  for (const { handle } of resolvers) {
    handle.resolve = async (name) =>
      (await server.ctx.accountManager.getAccount(name))?.did
  }
}
