// Loaded into a server before anything else (node --import), to have accidents when a signal says so.

/** The address of the database is in the error itself, as Node puts it there; and more is, as drivers do. */
process.on('SIGWINCH', () => {
  const address = String(process.env['DATABASE_URL'])
  try {
    new URL(`${address.replace('@', '@:')}`)
  } catch (error) {
    throw Object.assign(new Error(`an accident, ${process.argv[2]}`, { cause: error }), { detail: address, address })
  }
})

process.on('SIGIO', () => {
  Promise.reject(Object.assign(new Error(`an accident, ${process.argv[2]}`), { detail: process.env['DATABASE_URL'] }))
})

/** What the heap has no room for. */
process.on('SIGCONT', () => {
  const kept: string[][] = []
  for (;;) kept.push(Array.from({ length: 100_000 }, (_, index) => `${index}`))
})
