import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Attribute, Change, Client } from 'ldapts'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { hasPassword } from '../../../src/authentication/ldap/bind.ts'
import { type Answer, createDirectory, type Directory } from '../../../src/authentication/ldap/directory.ts'
import { rulesOf } from '../../../src/authentication/ldap/rules.ts'
import { parse } from '../../../src/config/index.ts'
import { createCertificate } from '../../support/certificate.ts'
import { startBreaking, startFake } from '../../support/fake-ldap.ts'
import { groups, hasSlapd, passwordOf, people, type Slapd, startSlapd, suffix } from '../../support/slapd.ts'

let slapd: Slapd
beforeAll(async () => {
  if (!hasSlapd) return
  slapd = await startSlapd()
  await slapd.addPerson('ada', { displayName: 'Ada Lovelace', givenName: 'Ada' })
  await slapd.addPerson('grace')
})
afterAll(() => slapd?.remove())

/** Opens the directory with these settings, and notes the failures of its servers. */
function open(settings: Record<string, string> = {}): { directory: Directory; failures: string[] } {
  const failures: string[] = []
  const rules = rulesOf(parse({ ...slapd.settings, ...settings }))
  if (!rules) throw new Error('there is no directory')
  const directory = createDirectory(rules, (_, error) => failures.push(String(error)))
  return { directory, failures }
}

const check = (directory: Directory, address: string, password = passwordOf('ada')): Promise<Answer> =>
  directory.check({ address, password, mayCheck: async () => true })

/** Summarizes an answer: the entry and the outcome of the password, or the reason why nobody was found. */
const summary = (answer: Answer) =>
  typeof answer === 'string' ? answer : `${answer.person.dn.split(',')[0]} ${answer.password}`

async function personOf(directory: Directory, address: string) {
  const answer = await check(directory, address)
  if (typeof answer === 'string') throw new Error(answer)
  return answer.person
}

const special = [
  '*',
  '(',
  ')',
  '\\',
  '&',
  '|',
  '!',
  '=',
  '<',
  '>',
  '~',
  ':',
  ';',
  ',',
  '+',
  '"',
  '#',
  '/',
  ' ',
  '$&',
  '%2a',
]

describe.skipIf(!hasSlapd)('a directory', () => {
  test('finds a person by their address, with the claims of the mapping, and checks their password', async () => {
    const { directory } = open()
    const answer = await check(directory, 'ADA@example.com')
    expect(answer).toEqual({
      person: {
        id: expect.stringMatching(/^entryuuid:[0-9a-f-]{36}$/),
        dn: `uid=ada,${people}`,
        email: 'ada@example.com',
        claims: { name: 'Ada Lovelace', given_name: 'Ada', family_name: 'Lovelace', preferred_username: 'ada' },
        groups: [],
        isDisabled: false,
      },
      password: 'right',
    })
    expect(summary(await check(directory, 'ada@example.com', passwordOf('grace')))).toBe('uid=ada wrong')
    expect(await check(directory, 'nobody@example.com')).toBe('none')
  })

  test('checks no password that nobody wants to know about', async () => {
    const { directory } = open()
    const unwanted = { address: 'ada@example.com', password: passwordOf('ada'), mayCheck: async () => false }
    expect(summary(await directory.check(unwanted))).toBe('uid=ada not-checked')
  })

  test('is not searched for anything but the address that was typed, whatever characters it has', async () => {
    const { directory, failures } = open()
    const attacks = [
      '*',
      '*@example.com',
      'a*',
      'ada@example.com)(objectClass=*',
      '*)(uid=*))(|(uid=*',
      'x)(|(mail=*)',
      '\\2a',
      '\0',
      'ada@example.com\0',
      ...special,
      ...special.map((character) => `ada${character}@example.com`),
      ...special.map((character) => `${character}ada@example.com${character}`).filter((text) => text.trim() === text),
      'ädä@example.com',
      '\u{1f600}',
    ]
    for (const address of attacks) expect([address, await check(directory, address)]).toEqual([address, 'none'])
    expect(failures).toEqual([])
  })

  test('finds exactly the person whose address has special characters', async () => {
    const { directory } = open({ LDAP_USER_FILTER: '(&(objectClass=inetOrgPerson)(description={address}))' })
    for (const [index, character] of special.entries()) {
      await slapd.addPerson(`special${index}`, { description: `x${character}y`, userPassword: passwordOf('ada') })
    }
    for (const [index, character] of special.entries()) {
      expect(summary(await check(directory, `x${character}y`))).toBe(`uid=special${index} right`)
    }
  })

  test('finds the groups of a person whose entry has a name with special characters, and no others', async () => {
    const names = ['Lovelace\\, \\"Ada\\" \\+\\<b\\>', 'x)(cn=*', 'back\\\\slash*', '\\#1 ']
    for (const [index, name] of names.entries()) {
      const dn = `cn=${name},${people}`
      const mail = `named${index}@example.com`
      await slapd.administer((client) =>
        client.add(dn, { objectClass: 'inetOrgPerson', sn: 'x', mail, userPassword: passwordOf('ada') }),
      )
      await slapd.addGroup(`team${index}`, [dn])
    }
    await slapd.addGroup('strangers', [`uid=grace,${people}`])
    for (const LDAP_GROUPS of ['memberOf', '(&(objectClass=groupOfNames)(member={dn}))']) {
      const { directory } = open({ LDAP_GROUPS, LDAP_GROUPS_BASE_DN: groups })
      for (const index of names.keys()) {
        const answer = await check(directory, `named${index}@example.com`)
        expect(answer).toMatchObject({ person: { groups: [`team${index}`] }, password: 'right' })
      }
    }
  })

  test('counts only groups below the base for groups', async () => {
    const dn = await slapd.addPerson('member')
    await slapd.addGroup('admins', [dn], people)
    await slapd.addGroup('readers', [dn])
    for (const LDAP_GROUPS of ['memberOf', '(member={dn})']) {
      const { directory } = open({ LDAP_GROUPS, LDAP_GROUPS_BASE_DN: groups })
      expect((await personOf(directory, 'member@example.com')).groups).toEqual(['readers'])
      const wider = open({ LDAP_GROUPS, LDAP_GROUPS_BASE_DN: suffix })
      expect((await personOf(wider.directory, 'member@example.com')).groups).toEqual(['admins', 'readers'])
    }
  })

  test('never sees an empty password, which would be a success for it', async () => {
    const client = new Client({ url: `ldap://127.0.0.1:${slapd.port}` })
    await client.bind(`uid=ada,${people}`, '') // it does
    await client.unbind()
    const { directory } = open()
    expect(summary(await check(directory, 'ada@example.com', ''))).toBe('uid=ada wrong')
    const bind = vi.spyOn(client, 'bind').mockResolvedValue()
    for (const password of ['', '\0', '\0x', 'x\0'])
      expect(await hasPassword(client, `uid=ada,${people}`, password)).toBe(false)
    expect(await hasPassword(client, '', 'x')).toBe(false)
    expect(bind).not.toHaveBeenCalled()
  })

  test('is never left for another one that a referral names', async () => {
    const trap = await startFake(() => {})
    const ref = `ldap://127.0.0.1:${trap.port}/${people}`
    await slapd.administer((client) =>
      client.add(`ou=elsewhere,${suffix}`, { objectClass: ['referral', 'extensibleObject'], ref, ou: 'elsewhere' }),
    )
    const { directory } = open({ LDAP_BASE_DN: suffix })
    expect(await check(directory, 'nobody@example.com')).toBe('none')
    expect(summary(await check(directory, 'ada@example.com'))).toBe('uid=ada right')
    const wholly = open({ LDAP_BASE_DN: `ou=elsewhere,${suffix}` })
    expect(await check(wholly.directory, 'ada@example.com')).toBe('unavailable')
    expect(trap.connections).toBe(0)
    await trap.stop()
  })

  test('is not used if two of its entries have the address', async () => {
    await slapd.addPerson('twin1', { mail: 'twin@example.com' })
    await slapd.addPerson('twin2', { mail: 'twin@example.com' })
    expect(await check(open().directory, 'twin@example.com', passwordOf('twin1'))).toBe('several')
  })

  test('lets nobody in with an entry that lacks an address or the identifier', async () => {
    const byName = { LDAP_USER_FILTER: '(uid={address})' }
    await slapd.addPerson('addressless', { mail: [] })
    expect(await check(open(byName).directory, 'addressless')).toBe('incomplete')
    expect(await check(open({ ...byName, LDAP_ID_ATTRIBUTE: 'carLicense' }).directory, 'ada')).toBe('incomplete')
  })

  test('does not check the password of a disabled entry', async () => {
    await slapd.addPerson('left', { employeeType: 'Left' })
    const { directory } = open({ LDAP_DISABLED: 'employeeType=left' })
    expect(summary(await check(directory, 'left@example.com', passwordOf('left')))).toBe('uid=left not-checked')
  })

  test('recognizes a person who was renamed, and tells them from another one with their former address', async () => {
    const { directory } = open()
    const dn = await slapd.addPerson('before')
    const { id } = await personOf(directory, 'before@example.com')
    await slapd.administer(async (client) => {
      await client.modifyDN(dn, 'uid=after')
      const mail = new Attribute({ type: 'mail', values: ['after@example.com'] })
      await client.modify(`uid=after,${people}`, new Change({ operation: 'replace', modification: mail }))
    })
    expect(await check(directory, 'before@example.com')).toBe('none')
    expect(await directory.findById(id)).toMatchObject({ person: { id, email: 'after@example.com' } })
    await slapd.addPerson('before')
    expect((await personOf(directory, 'before@example.com')).id).not.toBe(id)
    await slapd.administer((client) => client.del(`uid=after,${people}`))
    expect(await directory.findById(id)).toBe('none')
  })

  test('no longer has a person if the filter for sign-ins leaves them out', async () => {
    const { id } = await personOf(open().directory, 'ada@example.com')
    const strict = open({ LDAP_USER_FILTER: '(&(mail={address})(employeeType=staff))' })
    expect(await strict.directory.findById(id)).toBe('none')
    expect(await open().directory.findById(id)).toMatchObject({ person: { id } })
    expect(await open({ LDAP_ID_ATTRIBUTE: 'uid' }).directory.findById(id)).toBe('none')
  })

  test('of Active Directory has people with a binary identifier, two addresses and bits for a disabled account', async () => {
    const { directory } = open({
      LDAP_PRESET: 'active-directory',
      LDAP_GROUPS: 'memberOf',
      LDAP_GROUPS_BASE_DN: groups,
    })
    const objectGUID = Buffer.from('00ff28292a5c41424344454647480a7e', 'hex')
    const add = (uid: string, attributes: Record<string, string>) =>
      slapd.administer(async (client) => {
        const given = { objectClass: 'user', cn: uid, sn: 'x', userPassword: passwordOf(uid), ...attributes }
        const listed = Object.entries(given).map(([type, value]) => new Attribute({ type, values: [value] }))
        await client.add(`uid=${uid},${people}`, [
          ...listed,
          new Attribute({ type: 'objectGUID', values: [objectGUID] }),
        ])
      })
    await add('jdoe', { userPrincipalName: 'jdoe@corp.example', sAMAccountName: 'jdoe', userAccountControl: '512' })
    await slapd.addGroup('staff', [`uid=jdoe,${people}`])
    const answer = await check(directory, 'jdoe@corp.example', passwordOf('jdoe'))
    const person = {
      id: `objectguid:${objectGUID.toString('hex')}`,
      email: 'jdoe@corp.example',
      claims: { name: 'jdoe', preferred_username: 'jdoe' },
      groups: ['staff'],
    }
    expect(answer).toMatchObject({ person, password: 'right' })
    expect(await directory.findById(person.id)).toMatchObject({ person })
    objectGUID[0] = 1
    await add('gone', { userPrincipalName: 'gone@corp.example', userAccountControl: '514' })
    const disabled = await check(directory, 'gone@corp.example', passwordOf('gone'))
    expect(disabled).toMatchObject({ person: { isDisabled: true }, password: 'not-checked' })
  })
})

describe.skipIf(!hasSlapd)('a server of a directory', () => {
  const failureWith = async (settings: Record<string, string>) => {
    const { directory, failures } = open(settings)
    expect(await check(directory, 'ada@example.com')).toBe('unavailable')
    return failures.join()
  }

  test('is used over StartTLS', async () => {
    const { directory } = open({ LDAP_URL: `ldap://localhost:${slapd.port}`, LDAP_START_TLS: 'true' })
    expect(summary(await check(directory, 'ada@example.com'))).toBe('uid=ada right')
  })

  test('is not used if an unknown authority vouches for it, or its certificate is for another host', async () => {
    const wrongCa = { LDAP_CA: join(await mkdtemp(join(tmpdir(), 'postern-ca-')), 'ca.pem') }
    await writeFile(wrongCa.LDAP_CA, createCertificate().cert)
    const [tls, plain] = [`ldaps://localhost:${slapd.tlsPort}`, `ldap://localhost:${slapd.port}`]
    expect(await failureWith({ LDAP_URL: tls, ...wrongCa })).toMatch(/self-signed|unable to verify/)
    expect(await failureWith({ LDAP_URL: plain, LDAP_START_TLS: 'true', ...wrongCa })).toMatch(/self-signed|unable to/)
    expect(await failureWith({ LDAP_URL: `ldaps://127.0.0.1:${slapd.tlsPort}` })).toMatch(/altnames/)
    const startTls = { LDAP_URL: `ldap://127.0.0.1:${slapd.port}`, LDAP_START_TLS: 'true' }
    expect(await failureWith(startTls)).toMatch(/altnames/)
    await rm(dirname(wrongCa.LDAP_CA), { recursive: true })
  })

  test('is not used if Postern cannot sign in to search, or the place to search does not exist', async () => {
    expect(await failureWith({ LDAP_BIND_PASSWORD: 'wrong' })).toMatch(/does not accept LDAP_BIND_PASSWORD/)
    expect(await failureWith({ LDAP_BASE_DN: `ou=nowhere,${suffix}` })).toMatch(/NoSuchObject/i)
  })

  test('is not used if it is slow, however it is slow', async () => {
    const slow = [
      await startFake(() => {}),
      await startFake((socket) => {
        socket.on('data', () => {})
        setInterval(() => socket.write('0'), 100).unref()
      }),
    ]
    const tries = slow.flatMap(({ port }) =>
      [{}, { LDAP_START_TLS: 'true' }].map((tls) =>
        failureWith({ LDAP_URL: `ldap://127.0.0.1:${port}`, LDAP_TIMEOUT_SECONDS: '1', ...tls }),
      ),
    )
    for (const failure of await Promise.all(tries)) expect(failure).toMatch(/within 1000 ms/)
    for (const { stop } of slow) await stop()
  })

  test('is not used if its answer is very large', async () => {
    await slapd.addPerson('large', { displayName: 'x'.repeat(1_500_000) })
    const { directory, failures } = open()
    expect(await check(directory, 'large@example.com')).toBe('unavailable')
    expect(failures.join()).toMatch(/bytes of answers/)
  })

  test('is not used if it sends endless tiny answers', async () => {
    const entry = Buffer.from('30050201026400', 'hex') // of message 2, without content
    const flood = await startFake((socket) => {
      socket.on('data', () => {
        for (let times = 0; times < 40; times++) socket.write(Buffer.concat(Array.from({ length: 9_000 }, () => entry)))
      })
    })
    const LDAP_URL = `ldap://127.0.0.1:${flood.port}`
    expect(await failureWith({ LDAP_URL, LDAP_TIMEOUT_SECONDS: '5' })).not.toBe('')
    await flood.stop()
  })

  test('is not used if bytes follow its agreement to StartTLS, which could pass for a later answer', async () => {
    const agreement = Buffer.from('300c02010178070a010004000400', 'hex')
    const bound = Buffer.from('300c02010261070a0100040004', 'hex') // a bind that succeeded, but for its last byte
    const between = await startFake((socket) => {
      socket.once('data', () => socket.write(Buffer.concat([agreement, bound])))
    })
    const settings = { LDAP_URL: `ldap://localhost:${between.port}`, LDAP_START_TLS: 'true' }
    expect(await failureWith(settings)).toMatch(/after the answer to StartTLS/)
    await between.stop()
    const refusing = await startFake((socket) => {
      socket.once('data', () => socket.write(Buffer.from('300c02010178070a013404000400', 'hex')))
    })
    const refused = { LDAP_URL: `ldap://localhost:${refusing.port}`, LDAP_START_TLS: 'true' }
    expect(await failureWith(refused)).toMatch(/does not offer StartTLS/)
    await refusing.stop()
  })

  test('may break at each step: without another server nobody answers, and with one the answer is right', async () => {
    // Its messages are the bind of Postern, the search, and the bind of the person.
    for (const messages of [-1, 0, 1, 2]) {
      const breaking = await startBreaking(slapd.port, messages)
      const LDAP_URL = `ldap://127.0.0.1:${breaking.port}`
      expect(await failureWith({ LDAP_URL })).not.toBe('')
      const { directory, failures } = open({ LDAP_URL: `${LDAP_URL},ldaps://localhost:${slapd.tlsPort}` })
      expect(summary(await check(directory, 'ada@example.com'))).toBe('uid=ada right')
      expect(failures).toHaveLength(1)
      // It comes last from then on.
      expect(summary(await check(directory, 'ada@example.com', 'wrong'))).toBe('uid=ada wrong')
      expect(failures).toHaveLength(1)
      await breaking.stop()
    }
    const [nowhere, there] = ['ldap://127.0.0.1:1', `ldaps://localhost:${slapd.tlsPort}`]
    expect(summary(await check(open({ LDAP_URL: `${nowhere},${there}` }).directory, 'ada@example.com'))).toBe(
      'uid=ada right',
    )
  })
})
