import argon2 from 'argon2'
import { vi } from 'vitest'
import type { TestPostern } from './postern.ts'

const together = 2 + 64 // the number of passwords that are checked at once, and the number that may wait

/** Runs some work while no more passwords can be checked. It takes no time: those that are checked wait for the work. */
export async function whileQueueIsFull<T>({ server }: TestPostern, work: () => Promise<T>): Promise<T> {
  const { passwords } = server.postern
  const hashed = await passwords.hash('somebody')
  const { promise: isOver, resolve: end } = Promise.withResolvers<boolean>()
  const verify = vi.spyOn(argon2, 'verify').mockReturnValue(isOver)
  const visitors = Array.from({ length: together }, () => passwords.verify(hashed, 'wrong'))
  try {
    return await work()
  } finally {
    end(false)
    await Promise.all(visitors)
    verify.mockRestore()
  }
}
