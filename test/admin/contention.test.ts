import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { perform, prepare, within } from '../../src/admin/execute.ts'
import { OperationError } from '../../src/admin/operation.ts'
import { operations } from '../../src/admin/operations/index.ts'
import { isContention } from '../../src/database/connect.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

const rounds = 6
const apiScopes = { read: 'Read' }

type Subject = { account: string; client_id: string; identifier: string; credentials: string }
type Act = { command: string; input(subject: Subject): Record<string, unknown> }

const act = (command: string, input: Act['input']): Act => ({ command, input })
const onAccount = ({ account }: Subject) => ({ account })
const onClient = ({ client_id }: Subject) => ({ client_id })
const onResource = ({ identifier }: Subject) => ({ identifier })

const acts: Record<string, Act[]> = {
  'an account': [
    act('account set-password', (subject) => ({ ...onAccount(subject), password: 'another horse battery staple' })),
    act('account update', (subject) => ({ ...onAccount(subject), claims: { given_name: 'Ada' } })),
    act('account disable', onAccount),
    act('account enable', onAccount),
    act('account delete', onAccount),
  ],
  'a client and the API that it introspects for': [
    act('client update', (subject) => ({ ...onClient(subject), client_name: 'Another' })),
    act('client update', ({ credentials }) => ({ client_id: credentials, client_name: 'Another' })),
    act('client rotate-secret', ({ credentials }) => ({ client_id: credentials })),
    act('client disable', onClient),
    act('client delete', onClient),
    act('client delete', ({ credentials }) => ({ client_id: credentials })),
    act('resource update', (subject) => ({ ...onResource(subject), client_id: subject.client_id })),
    act('resource update', (subject) => ({ ...onResource(subject), client_id: subject.credentials })),
    act('resource delete', onResource),
  ],
}

let postern: TestPostern

beforeAll(async () => {
  postern = await startPostern()
})
afterAll(() => postern?.stop())

/** Prepares an operation, and returns a function that performs it in one transaction. */
async function ready({ command, input }: Act, subject: Subject): Promise<() => Promise<unknown>> {
  const operation = operations().find(({ noun, verb }) => `${noun} ${verb}` === command)
  if (!operation) throw new Error(`there is no ${command}`)
  const dependencies = postern.server.postern
  const given = input(subject)
  const prepared = await prepare(operation, dependencies, given)
  const by = { actor: 'operator:test' }
  return () =>
    within(dependencies, (tx, changed) => perform(operation, { dependencies, tx, changed, by, prepared }, given))
}

const operate = async (command: string, input: Record<string, unknown>) =>
  (await (
    await ready(
      act(command, () => input),
      {} as Subject,
    )
  )()) as Record<string, string>

let subjects = 0

async function createSubject(): Promise<Subject> {
  const number = ++subjects
  const identifier = `https://api${number}.example/`
  const password = 'correct horse battery staple'
  const [{ id: account }, { client_id }, { client_id: credentials }] = (await Promise.all([
    operate('account create', { email: `person${number}@example.com`, password }),
    operate('client create', { redirect_uris: ['https://rp.example/cb'] }),
    operate('resource create', { identifier, scopes: apiScopes }),
  ])) as [Record<string, string>, Record<string, string>, Record<string, string>]
  return { account, client_id, identifier, credentials } as Subject
}

describe.each(Object.entries(acts))('two operations on %s', (_, those) => {
  const pairs = those.flatMap((one, index) => those.slice(index + 1).map((other) => [one, other] as const))
  test.each(pairs.map(([one, other]) => [one.command, other.command, [one, other]] as const))(
    'at the same moment never deadlock, and each succeeds or is refused: %s, %s',
    async (_one, _other, pair) => {
      for (let round = 0; round < rounds; round++) {
        const subject = await createSubject()
        const work = await Promise.all((round % 2 ? pair : [...pair].reverse()).map((one) => ready(one, subject)))
        const results = await Promise.allSettled(work.map((begin) => begin()))
        const failures = results.flatMap((result) =>
          result.status === 'rejected' && !(result.reason instanceof OperationError) ? [result.reason] : [],
        )
        expect(failures.filter(isContention)).toEqual([])
        expect(failures).toEqual([])
      }
    },
  )
})
