import type { ChildProcess } from 'node:child_process'

/** Sends one message to a child process and waits for its one answer. */
export function ask<Answer>(child: ChildProcess, message: object): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const settle = (then: () => void) => {
      child.off('message', onMessage)
      child.off('exit', onExit)
      then()
    }
    const onMessage = (answer: { error?: string }) =>
      settle(() => (answer.error ? reject(new Error(answer.error)) : resolve(answer as Answer)))
    const onExit = (code: number | null) =>
      settle(() => reject(new Error(`a process of the benchmark ended (${code})`)))
    child.on('message', onMessage)
    child.on('exit', onExit)
    child.send(message)
  })
}

/** Answers the messages of the parent process, one after the other. */
export function answer<Question>(handle: (question: Question) => Promise<object | undefined>): void {
  process.on('message', (question: Question) => {
    handle(question).then(
      (result) => result && process.send?.(result),
      (error: Error) => process.send?.({ error: error.stack ?? String(error) }),
    )
  })
}
