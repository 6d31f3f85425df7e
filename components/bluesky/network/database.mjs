// Whether an error says that PostgreSQL is away for now: network errors, and the SQLSTATE classes of
// lost connections, read-only servers, conflicts, exhausted resources and shutdowns.
export const isTransient = ({ code = '', message = '' }) =>
  /^(E[A-Z]{4,}$|08|25006|40|53|57)/.test(code) ||
  /^Connection terminated|^Client has encountered a connection error/.test(message)
