import { describe, expect, test } from 'vitest'
import { mailbox, wireAddress } from '../../src/config/mailboxes.ts'
import { build, oneLine } from '../../src/mail/message.ts'

const headers = {
  messageId: '<id@auth.example>',
  date: new Date('2026-11-27T12:00:00Z'),
  from: { name: 'Example', address: 'no-reply@example.com' },
  replyTo: undefined,
}
const mail = { to: 'ada@example.com', subject: 'Hello', text: 'Text', html: '<p>Text</p>', language: 'en' }

async function linesOf(...[changed, its = {}]: [Partial<typeof mail>, Partial<typeof headers>?]): Promise<string[]> {
  const message = await build({ ...mail, ...changed }, { ...headers, ...its })
  const [head = ''] = String(message?.raw).split('\r\n\r\n')
  return head.replace(/\r\n[ \t]+/g, ' ').split('\r\n')
}

const expectedNames = [
  'Auto-Submitted',
  'X-Auto-Response-Suppress',
  'Content-Language',
  'From',
  'To',
  'Subject',
  'Message-ID',
  'Date',
  'MIME-Version',
  'Content-Type',
]

const hostile = [
  'Ada\r\nBcc: victim@example.com',
  'Ada\nBcc: victim@example.com',
  'Ada\rBcc: victim@example.com',
  'Ada\r\n\r\n<h1>A body of their own</h1>',
  'Ada\0Bcc: victim@example.com',
  'Ada\u2028Bcc: victim@example.com',
  'Ada\u0085Bcc: victim@example.com',
  'Ada\u000b\u000cBcc: victim@example.com',
  '=?utf-8?Q?Ada=0D=0ABcc:_victim@example.com?=',
  '=?utf-8?B?QWRhDQpCY2M6IHZpY3RpbUBleGFtcGxlLmNvbQ==?=',
  'Ada <victim@example.com>, ',
  '"Ada" <victim@example.com>',
  'Ada"; Bcc: victim@example.com',
  'Ada\\" <victim@example.com>',
  'A'.repeat(100_000),
  '🦊'.repeat(5_000),
  'ⓐ\u0301'.repeat(3_000),
  '\ud800 half a character',
  'שלום עליכם \u202emoc.elpmaxe\u202c',
]

describe('no text can add a header, a recipient or a body', () => {
  test.each(hostile)('as a subject or as the name of the sender: %j', async (text) => {
    for (const lines of [
      await linesOf({ subject: text }),
      await linesOf({}, { from: { name: text, address: 'no-reply@example.com' } }),
    ]) {
      expect(lines.map((line) => line.slice(0, line.indexOf(':'))).sort()).toEqual([...expectedNames].sort())
      for (const line of lines) expect(line).toMatch(/^[\x20-\x7e]+$/)
      expect(lines).toContain('To: ada@example.com')
      const from = lines.find((line) => line.startsWith('From: ')) ?? ''
      expect(from).toMatch(
        /^From: ("(\\.|[^"\\])*"|[^"<>@,;:]*|(=\?utf-8\?[QB]\?[^?<>@,;:" ]*\?= ?)+) <no-reply@example\.com>$/i,
      )
      const subject = lines.find((line) => line.startsWith('Subject: ')) ?? ''
      expect(decoded(subject)).not.toMatch(/[\r\n\0]/)
    }
    const message = await build({ ...mail, subject: text }, headers)
    expect(
      String(message?.raw)
        .split('\r\n')
        .every((line) => line.length <= 998),
    ).toBe(true) // RFC 5322 §2.1.1
  })

  /** Reads the encoded words of a header (RFC 2047) as a mail program does. */
  function decoded(line: string): string {
    return line.replace(/=\?utf-8\?([QB])\?([^?]*)\?=/gi, (_word, kind, text: string) =>
      kind.toUpperCase() === 'B'
        ? Buffer.from(text, 'base64').toString('utf8')
        : text.replace(/=([0-9A-F]{2})/gi, (_byte, hex) => String.fromCharCode(Number.parseInt(hex, 16))),
    )
  }

  test.each([
    'ada@example.com\r\nBcc: victim@example.com',
    'ada@example.com\r\nRCPT TO:<victim@example.com>',
    'ada@example.com, victim@example.com',
    'ada@example.com>\r\nDATA',
    '<ada@example.com>',
    'Ada <ada@example.com>',
    'ada@example.com victim@example.com',
    'ada@example.com\0',
    '"a b"@example.com',
    'a@b@example.com',
    'ada@example.com/x',
    'ada@exam%0d%0aple.com',
    'ada@[127.0.0.1]',
    'ada@',
    '@example.com',
    '',
    `${'a'.repeat(65)}@example.com`,
    `ada@${'a'.repeat(64)}.com`,
    `ada@${'a.'.repeat(140)}com`,
    'ada@-example.com',
    'undisclosed-recipients:;',
  ])('as an address, which is refused: %j', async (to) => {
    expect(await build({ ...mail, to }, headers)).toBeUndefined()
    expect(mailbox.safeParse(to).success).toBe(to === 'Ada <ada@example.com>' || to === '<ada@example.com>')
  })
})

describe('an address of another script', () => {
  test.each([
    ['jörg@bücher.example', 'jörg@xn--bcher-kva.example', 'jörg@bücher.example'],
    ['用户@例子.example', '用户@xn--fsqu00a.example', '用户@例子.example'],
    ['ada@BÜCHER.example', 'ada@xn--bcher-kva.example', 'ada@xn--bcher-kva.example'],
    ['jo\u0308rg@example.com', 'jörg@example.com', 'jörg@example.com'],
  ])('has a domain as in DNS for the server, and keeps its letters before the @: %s', async (given, wire, header) => {
    expect(wireAddress(given)).toBe(wire)
    const message = await build({ ...mail, to: given }, headers)
    expect(message?.to).toBe(wire)
    expect(String(message?.raw).split('\r\n')).toContain(`To: ${header}`) // RFC 6532 §3.2
  })
})

describe('the sender', () => {
  test.each([
    ['no-reply@example.com', { name: undefined, address: 'no-reply@example.com' }],
    ['Example <no-reply@example.com>', { name: 'Example', address: 'no-reply@example.com' }],
    ['"Example, Inc." <no-reply@example.com>', { name: 'Example, Inc.', address: 'no-reply@example.com' }],
    ['Bücher & Söhne <no-reply@bücher.example>', { name: 'Bücher & Söhne', address: 'no-reply@xn--bcher-kva.example' }],
  ])('is read from %s', (text, read) => expect(mailbox.parse(text)).toEqual(read))

  test.each(['Example', 'a@example.com, b@example.com', 'x <a@example.com> y', 'A\nB <a@example.com>', 'x <>'])(
    'is refused as %j',
    (text) => expect(mailbox.safeParse(text).success).toBe(false),
  )
})

test('a name is one line, of at most two hundred characters, without characters that hide or turn it', () => {
  expect(oneLine(' Ada\r\n\tLove\u202elace\u2028 ')).toBe('Ada Lovelace')
  expect(Array.from(oneLine('🦊'.repeat(300)))).toHaveLength(200)
})

test('two attempts make the same bytes, so that no server takes them for two mails', async () => {
  const [first, second] = [await build(mail, headers), await build(mail, headers)]
  expect(second?.raw.equals(first?.raw ?? Buffer.alloc(0))).toBe(true)
})
