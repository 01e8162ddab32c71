// A process that uses a token: creates a key for an algorithm, signs with it a number of times, and prints the result
// as a line of JSON.
import { parse } from '../../src/config/index.ts'
import type { SigningAlgorithm } from '../../src/crypto/keys.ts'
import { open } from '../../src/keys/pkcs11/index.ts'

try {
  const service = await open(parse(process.env))
  if (!service) throw new Error('There is no token.')
  const [alg, id, count] = process.argv.slice(2) as [SigningAlgorithm, string, string]
  const { reference, publicJwk } = await service.generate(alg, id)
  const signatures = []
  for (let index = 0; index < Number(count); index++) {
    signatures.push((await service.sign(reference, alg, Buffer.from(`${id} ${index}`))).toString('base64url'))
  }
  process.stdout.write(JSON.stringify({ reference, publicJwk, signatures }))
  await service.close()
} catch (error) {
  process.stdout.write(JSON.stringify({ error: (error as Error).message }))
}
