// Loaded into a server before everything else (node --import), to cause accidents when a signal arrives.

/** The error itself contains the address of the database, as Node and drivers put it there. */
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

/** Fills the heap until it is exhausted. */
process.on('SIGCONT', () => {
  const kept: string[][] = []
  for (;;) kept.push(Array.from({ length: 100_000 }, (_, index) => `${index}`))
})
