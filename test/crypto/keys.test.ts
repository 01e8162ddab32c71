import { afterEach, expect, test, vi } from 'vitest'
import { generate } from '../../src/crypto/keys.ts'

afterEach(() => vi.restoreAllMocks())

test('a Node.js without ML-DSA is reported as that, not with its own message', async () => {
  const unknown = new DOMException('Unrecognized algorithm name', 'NotSupportedError')
  vi.spyOn(crypto.subtle, 'generateKey').mockRejectedValue(unknown) // as Node.js before 24.7 does
  await expect(generate('ML-DSA-65')).rejects.toThrow('This Node.js cannot generate ML-DSA-65 keys')
})
