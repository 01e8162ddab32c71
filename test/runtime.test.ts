import { once } from 'node:events'
import { expect, test } from 'vitest'
import { startFleet } from './support/processes.ts'

test('a process that makes an ML-DSA key prints no warning that it is experimental', async () => {
  const fleet = await startFleet({ ALLOW_ML_DSA: 'true' }, 1)
  try {
    expect(await fleet.database.query(`select 1 from keys where purpose = 'ML-DSA-65'`)).not.toEqual([])
    expect(fleet.processes[0].output.filter((line) => /warning|experimental/i.test(line))).toEqual([])
  } finally {
    await fleet.stop()
  }
})

test('every other warning of Node.js about an experimental feature is shown', async () => {
  const warned = once(process, 'warning')
  process.emitWarning('The ML-KEM-768 Web Crypto API algorithm is an experimental feature', 'ExperimentalWarning')
  expect(await warned).toMatchObject([{ name: 'ExperimentalWarning', message: expect.stringContaining('ML-KEM-768') }])
})
