// The servers of PLC, PDS and AppView offer no choice of address and would listen on all
// interfaces. Nothing here may be reachable from outside, so a listen without an address means
// loopback. Must be imported before them.

import net from 'node:net'

const ADDRESS = '127.0.0.1'
const listen = net.Server.prototype.listen

net.Server.prototype.listen = function (...args) {
  const [first, second] = args
  if (first !== null && typeof first === 'object') {
    const onlyPort = first.port !== undefined && first.host === undefined
    return listen.call(this, onlyPort ? { ...first, host: ADDRESS } : first, ...args.slice(1))
  }
  const isPath = typeof first === 'string' && Number.isNaN(Number(first))
  if (isPath || typeof second === 'string') return listen.apply(this, args)
  const callback = args.find((arg) => typeof arg === 'function')
  return listen.call(this, { port: Number(first ?? 0), host: ADDRESS }, callback)
}
