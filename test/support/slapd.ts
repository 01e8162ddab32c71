import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, rmSync } from 'node:fs'
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'ldapts'
import { createCertificate } from './certificate.ts'
import { freePort } from './postern.ts'

const program = '/usr/sbin/slapd'
const readyWithinMs = 60_000

/** Whether OpenLDAP is installed. In CI the tests fail without it. */
export const hasSlapd = process.env['CI'] !== undefined || existsSync(program)
if (!hasSlapd) process.stderr.write(`There is no ${program}: the tests of LDAP are skipped.\n`)

export const suffix = 'dc=example,dc=com'
export const people = `ou=people,${suffix}`
export const groups = `ou=groups,${suffix}`
const admin = { dn: `cn=admin,${suffix}`, password: 'the password of the directory' }
const service = { dn: `cn=postern,${suffix}`, password: 'the password of postern' }

// The part of Active Directory's schema that matters here. Debian's has no rules to compare values by.
const text = '1.3.6.1.4.1.1466.115.121.1.15'
const activeDirectory = `
attributetype ( 1.2.840.113556.1.4.2 NAME 'objectGUID' EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.8 NAME 'userAccountControl' EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.656 NAME 'userPrincipalName' EQUALITY caseIgnoreMatch SYNTAX ${text} SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.221 NAME 'sAMAccountName' EQUALITY caseIgnoreMatch SYNTAX ${text} SINGLE-VALUE )
objectclass ( 1.2.840.113556.1.5.9 NAME 'user' SUP inetOrgPerson STRUCTURAL MAY ( objectGUID $ userAccountControl $ userPrincipalName $ sAMAccountName ) )
objectclass ( 1.2.840.113556.1.3.30 NAME 'computer' SUP user STRUCTURAL )`

type Attributes = Record<string, string | string[]>

/** An OpenLDAP in a folder of its own, with TLS, the overlay for memberOf, and an entry that Postern searches as. */
export type Slapd = {
  port: number
  tlsPort: number
  /** The path of the certificate that the server is verified by, which is for `localhost` only. */
  ca: string
  /** The settings of a Postern that uses it, over TLS. */
  settings: Record<string, string>
  /** Runs work as the administrator of the directory. */
  administer<T>(work: (client: Client) => Promise<T>): Promise<T>
  /** Adds a person by the name of their entry, with a password that is `password of NAME`, and returns their DN. */
  addPerson(uid: string, attributes?: Attributes): Promise<string>
  addGroup(name: string, members: string[], base?: string): Promise<string>
  stop(): Promise<void>
  start(): Promise<void>
  /** Stops it, if it still runs, and removes its folder. */
  remove(): Promise<void>
}

export const passwordOf = (uid: string): string => `password of ${uid}`

export async function startSlapd(): Promise<Slapd> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-slapd-'))
  const removeAtExit = () => rmSync(folder, { recursive: true, force: true })
  process.once('exit', removeAtExit)
  const { key, cert } = createCertificate()
  const paths = { ca: join(folder, 'ca.pem'), key: join(folder, 'key.pem'), conf: join(folder, 'slapd.conf') }
  await mkdir(join(folder, 'data'))
  await writeFile(paths.ca, cert)
  await writeFile(paths.key, key)
  await writeFile(
    paths.conf,
    `${['core', 'cosine', 'inetorgperson'].map((name) => `include /etc/ldap/schema/${name}.schema`).join('\n')}
${activeDirectory}
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
allow bind_anon_dn
TLSCertificateFile ${paths.ca}
TLSCertificateKeyFile ${paths.key}
database mdb
suffix "${suffix}"
rootdn "${admin.dn}"
rootpw "${admin.password}"
directory ${join(folder, 'data')}
dbnosync
index mail,entryUUID eq
overlay memberof
access to attrs=userPassword by anonymous auth by * none
access to * by * read
`,
  )
  const [port, tlsPort] = [await freePort(), await freePort()]
  let server: ChildProcess | undefined

  async function start(): Promise<void> {
    const urls = `ldap://127.0.0.1:${port}/ ldaps://127.0.0.1:${tlsPort}/`
    const child = spawn(program, ['-f', paths.conf, '-h', urls, '-d', '0'], { stdio: ['ignore', 'ignore', 'pipe'] })
    server = child
    process.once('exit', () => child.kill('SIGKILL'))
    let complaints = ''
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      complaints += chunk
    })
    for (const deadline = Date.now() + readyWithinMs; ; await sleep(50)) {
      const isUp = await administer(async () => {}).then(
        () => true,
        () => false,
      )
      if (isUp) return
      if (child.exitCode !== null || Date.now() > deadline) throw new Error(`slapd did not start: ${complaints}`)
    }
  }

  async function stop(): Promise<void> {
    const running = server
    server = undefined
    if (!running || running.exitCode !== null) return
    const ended = once(running, 'exit')
    running.kill('SIGTERM')
    await ended
  }

  async function administer<T>(work: (client: Client) => Promise<T>): Promise<T> {
    const client = new Client({ url: `ldap://127.0.0.1:${port}`, timeout: 10_000, connectTimeout: 5_000 })
    try {
      await client.bind(admin.dn, admin.password)
      return await work(client)
    } finally {
      await client.unbind().catch(() => {})
    }
  }

  const add = (dn: string, attributes: Attributes) => administer((client) => client.add(dn, attributes))

  await start()
  await add(suffix, { objectClass: ['dcObject', 'organization'], o: 'Example' })
  for (const name of ['people', 'groups']) await add(`ou=${name},${suffix}`, { objectClass: 'organizationalUnit' })
  await add(service.dn, { objectClass: ['applicationProcess', 'simpleSecurityObject'], userPassword: service.password })

  return {
    port,
    tlsPort,
    ca: paths.ca,
    settings: {
      LDAP_URL: `ldaps://localhost:${tlsPort}`,
      LDAP_CA: paths.ca,
      LDAP_BIND_DN: service.dn,
      LDAP_BIND_PASSWORD: service.password,
      LDAP_BASE_DN: people,
    },
    administer,
    async addPerson(uid, attributes = {}) {
      const dn = `uid=${uid},${people}`
      const given: Attributes = {
        objectClass: 'inetOrgPerson',
        cn: uid,
        sn: 'Lovelace',
        mail: `${uid}@example.com`,
        userPassword: passwordOf(uid),
        ...attributes,
      }
      await add(dn, Object.fromEntries(Object.entries(given).filter(([, values]) => values.length > 0)))
      return dn
    },
    async addGroup(name, members, base = groups) {
      const dn = `cn=${name},${base}`
      await add(dn, { objectClass: 'groupOfNames', member: members })
      return dn
    },
    stop,
    start,
    async remove() {
      await stop()
      process.off('exit', removeAtExit)
      removeAtExit()
    },
  }
}
