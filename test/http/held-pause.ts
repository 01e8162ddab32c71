// Preloaded into a server process. Its pause before it refuses connections lasts until the test sends a message, so that
// the test can make as many requests in the pause as it needs, however slow the machine is.

export const heldSeconds = 86_400

if (process.send) {
  const startTimer = globalThis.setTimeout
  const startOthers = (callback: (...given: unknown[]) => void, ms?: number, ...given: unknown[]) => {
    if (ms !== heldSeconds * 1000) return startTimer(callback, ms, ...given)
    process.once('message', callback)
    return startTimer(() => {}, 0)
  }
  globalThis.setTimeout = Object.assign(startOthers, startTimer)
}
