import { setImmediate } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { type PasswordHash, read } from '../../src/crypto/password-hashes/index.ts'
import { createPasswords } from '../../src/crypto/passwords.ts'

const overlong = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'
const twoLines = 'a very much longer text to encrypt.  This one even stretches over morethan one line.'

// Published vectors: the reference implementations of argon2 and of SHA-crypt, crypt_blowfish, RFC 7914 §12, RFC 6070 §2, and the
// test suites of passlib and Django.
const vectors: [kind: string, hash: string, password: string][] = [
  ['argon2', '$argon2i$m=256,t=2,p=1$c29tZXNhbHQ$/U3YPXYsSb3q9XxHvc0MLxur+GP960kN9j7emXX8zwY', 'password'],
  ['argon2', '$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4', 'password'],
  ['argon2', 'argon2$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4', 'password'],
  ['bcrypt', '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW', 'U*U'],
  ['bcrypt', '$2y$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK', 'U*U*'],
  ['bcrypt', '$2b$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a', 'U*U*U'],
  ['bcrypt', 'bcrypt$$2b$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a', 'U*U*U'],
  ['bcrypt', '$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui', `${overlong}chars after 72 are ignored`],
  [
    'bcrypt',
    '$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui',
    `${overlong}${'as for any others '.repeat(20)}`,
  ],
  ['bcrypt', '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW', 'U*U\0and what follows a NUL'],
  [
    'scrypt',
    '$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofLVQylVYT8Pz2LUlwUkKpr55h6F3A1lHkDfzwF7RVdYhw',
    'pleaseletmein',
  ],
  [
    'scrypt',
    '$scrypt$ln=10,r=8,p=16$TmFDbA$/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWIurzDZLiKjiG/xCSedmDDaxyevuUqD7m2DYMvfoswGQA',
    'password',
  ],
  ['scrypt', '$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E', 'password'],
  ['pbkdf2', '$pbkdf2-sha1$i=4096,l=20$c2FsdA$SwB5AbdlSJq+rUnZJvch0GWkKcE', 'password'],
  ['pbkdf2', '$pbkdf2$4096$c2FsdA$SwB5AbdlSJq.rUnZJvch0GWkKcE', 'password'],
  ['pbkdf2', '$pbkdf2-sha256$1212$4vjV83LKPjQzk31VI4E0Vw$hsYF68OiOUPdDZ1Fg.fJPeq1h/gXXY7acBp9/6c.tmQ', 'password'],
  ['pbkdf2', 'pbkdf2_sha256$260000$seasalt$YlZ2Vggtqdc61YjArZuoApoBh9JNGYoDRBUGu6tcJQo=', 'lètmein'],
  ['sha-crypt', '$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5', 'Hello world!'],
  ['sha-crypt', '$5$rounds=10000$saltstringsaltst$3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA', 'Hello world!'],
  ['sha-crypt', '$5$rounds=1400$anotherlongsalts$Rx.j8H.h8HjEDGomFU8bDkXm3XIUnzyxf12oP84Bnq1', twoLines],
  [
    'sha-crypt',
    '$5$rounds=1000$roundstoolow$yfvwcWrQ8l/K0DAWyuPMDNHpIVlTQebY9l/gL972bIC',
    'the minimum number is still observed',
  ],
  [
    'sha-crypt',
    '$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1',
    'Hello world!',
  ],
  [
    'sha-crypt',
    '$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.',
    'Hello world!',
  ],
  [
    'sha-crypt',
    '$6$rounds=1400$anotherlongsalts$POfYwTEok97VWcjxIiSOjiykti.o/pQs.wPvMxQ6Fm7I6IoYN3CmLs66x9t0oSwbtEW7o7UmJEiDwGqd8p4ur1',
    twoLines,
  ],
  [
    'sha-crypt',
    '$6$abc$LjfWyKRvXsDdMX5Sfspep/Vyrw.fufr3lYyMdaSFkmNO/L3U6m/2L4UkluLRO21q15UHaGfrDH566kvw2v6A20',
    'пароль',
  ],
  ['sha-crypt', '$5$rounds=1000$$eMKs4GOM.0BiZDOnroXBaRhyzAFLyCrv4DbZThnkqd4', 'nosalt'],
]

const readable = (hash: string) => {
  const found = read(hash)
  if ('problem' in found) throw new Error(found.problem)
  return found satisfies PasswordHash
}

describe('a password hash of another system', () => {
  test.each(vectors)('by %s is verified: %s', async (kind, hash, password) => {
    const stored = readable(hash)
    expect(stored.kind).toBe(kind)
    expect(await stored.matches(password)).toBe(true)
    expect(await stored.matches(`x${password.slice(1)}`)).toBe(false)
  })

  test('by SHA-crypt matches no password of more than 512 bytes, which would cost too much time', async () => {
    const stored = readable('$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5')
    const computing = setImmediate('it is being computed') // a computation takes several turns of the event loop
    expect(await Promise.race([stored.matches('x'.repeat(513)), computing])).toBe(false)
    expect(await Promise.race([stored.matches('x'.repeat(512)), setImmediate('it is being computed')])).not.toBe(false)
  })

  const salt = 'c29tZXNhbHQ'
  const bytes = 'nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4'
  const blowfish = 'CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'
  const crypt256 = '5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5'
  test.each([
    ['argon2 with too much memory', `$argon2id$v=19$m=262145,t=1,p=1$${salt}$${bytes}`],
    ['argon2 with too many passes', `$argon2id$v=19$m=262144,t=5,p=1$${salt}$${bytes}`],
    ['argon2 with too many lanes', `$argon2id$v=19$m=4096,t=1,p=17$${salt}$${bytes}`],
    ['argon2 with a parameter twice', `$argon2id$v=19$m=4096,m=4096,p=1$${salt}$${bytes}`],
    ['argon2 with less memory than lanes need', `$argon2id$v=19$m=8,t=1,p=2$${salt}$${bytes}`],
    ['argon2 of a version that does not exist', `$argon2id$v=20$m=4096,t=1,p=1$${salt}$${bytes}`],
    ['argon2 with a short hash', `$argon2id$v=19$m=4096,t=1,p=1$${salt}$nf65EOgL`],
    ['argon2 with a short salt', `$argon2id$v=19$m=4096,t=1,p=1$c2FsdA$${bytes}`],
    ['bcrypt with a high cost', `$2b$16$${blowfish}`],
    ['bcrypt with a low cost', `$2b$03$${blowfish}`],
    ['bcrypt of the version with a sign error', `$2x$05$${blowfish}`],
    ['bcrypt of the first version', `$2$05$${blowfish}`],
    ['bcrypt with too few characters', `$2b$05$${blowfish.slice(1)}`],
    ['scrypt with too much memory', `$scrypt$ln=18,r=8,p=1$${salt}$${bytes}`],
    ['scrypt with too much work', `$scrypt$ln=17,r=8,p=5$${salt}$${bytes}`],
    ['scrypt with no block', `$scrypt$ln=14,r=0,p=1$${salt}$${bytes}`],
    ['scrypt with one row', `$scrypt$ln=0,r=8,p=1$${salt}$${bytes}`],
    ['PBKDF2 with too many iterations', `$pbkdf2-sha256$i=3000001$${salt}$${bytes}`],
    ['PBKDF2 without an iteration', `pbkdf2_sha256$0$seasalt$${bytes}=`],
    ['PBKDF2 with another digest', `$pbkdf2-md5$1000$${salt}$${bytes}`],
    ['PBKDF2 with a long hash', `$pbkdf2-sha256$1000$${salt}$${bytes.repeat(3)}`],
    ['PBKDF2 with a long salt', `pbkdf2_sha256$1000$${'x'.repeat(65)}$${bytes}=`],
    ['SHA-crypt with too many rounds', `$5$rounds=1000001$saltstring$${crypt256}`],
    ['SHA-crypt with too few rounds', `$5$rounds=999$saltstring$${crypt256}`],
    ['SHA-crypt that was cut off', `$6$saltstring$${crypt256}`],
    ['MD5-crypt', '$1$abcdefgh$G//4keteveJp0qb8z2DxG/'],
    ['a plain digest', '5f4dcc3b5aa765d61d8327deb882cf99'],
    ['something endless', `$2b$05$${'C'.repeat(1_000)}`],
    ['nothing', ''],
  ])('is refused: %s', (_, hash) => {
    expect(read(hash)).toEqual({ problem: expect.stringMatching(/^(must|is) /) })
  })

  test('is replaced with argon2id of today once its password is known, and the new one matches', async () => {
    const passwords = createPasswords()
    for (const hash of [
      '$2b$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a',
      '$argon2i$v=19$m=19456,t=2,p=1$c29tZXNhbHRzYWx0$6kWHWsGKzmQZbSc4AYp4SwHA0VVTbzqWGzpkQCWvWgQ',
    ]) {
      const wrong = await passwords.verify(hash, 'U*U')
      expect(wrong).toEqual({ matches: false, renewed: undefined })
    }
    const stored = '$2b$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a'
    const asDecoy = await passwords.verify(stored, 'U*U*U', { isDecoy: true })
    expect(asDecoy).toEqual({ matches: false, renewed: undefined })
    expect(await passwords.verify('damaged', 'U*U*U', { isDecoy: true })).toEqual(asDecoy)
    await expect(passwords.verify('damaged', 'U*U*U')).rejects.toThrow('stored password hash')
    const { matches, renewed = '' } = await passwords.verify(stored, 'U*U*U')
    expect([matches, renewed]).toEqual([true, expect.stringMatching(/^\$argon2id\$v=19\$m=19456,p=1,t=2\$/)])
    expect(await passwords.verify(renewed, 'U*U*U')).toEqual({ matches: true, renewed: undefined })
  })
})
