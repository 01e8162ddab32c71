import { afterEach, expect, test, vi } from 'vitest'
import { generate } from '../../src/crypto/keys.ts'

afterEach(() => vi.restoreAllMocks())

test('a Node.js that knows no ML-DSA is told of as that, rather than by what it says itself', async () => {
  const unknown = new DOMException('Unrecognized algorithm name', 'NotSupportedError')
  vi.spyOn(crypto.subtle, 'generateKey').mockRejectedValue(unknown) // as before 24.7
  await expect(generate('ML-DSA-65')).rejects.toThrow('This Node.js cannot generate ML-DSA-65 keys')
})
