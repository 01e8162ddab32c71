import type { z } from 'zod'

type Issue = z.core.$ZodRawIssue

/**
 * Says what is wrong with a value, in words that follow its name. It applies where the schema has no message of its own,
 * because Zod's messages are for programmers.
 */
export function inPlainWords(issue: Issue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'is required' : `must be ${nouns[issue.expected] ?? `a ${issue.expected}`}`
    case 'invalid_value':
      if (issue['expected'] === 'stringbool') return 'must be true or false'
      return `must be ${issue.values.map(String).join(' or ')}`
    case 'too_small':
      if (!issue.inclusive) return `must be more than ${issue.minimum}`
      return `must ${amount[issue.origin] ? 'have' : 'be'} at least ${issue.minimum}${amount[issue.origin] ?? ''}`
    case 'too_big':
      if (!issue.inclusive) return `must be less than ${issue.maximum}`
      return `must ${amount[issue.origin] ? 'have' : 'be'} at most ${issue.maximum}${amount[issue.origin] ?? ''}`
    case 'invalid_format':
      return `must be ${formats[issue.format] ?? 'of another form'}`
    case 'unrecognized_keys':
      return `has members that are unknown: ${issue.keys.join(', ')}`
    case 'invalid_union':
      return 'has a form that is not allowed'
    default:
      return undefined
  }
}

const nouns: Record<string, string> = {
  array: 'a list',
  boolean: 'true or false',
  int: 'a whole number',
  object: 'a JSON object',
  record: 'a JSON object',
  string: 'one text', // an option given twice arrives as a list
}

const amount: Record<string, string> = { string: ' characters', array: ' entries', set: ' entries' }

const formats: Record<string, string> = {
  datetime: 'a date and time, such as 2026-01-31T08:00:00Z',
  date: 'a date, such as 2026-01-31',
  email: 'an e-mail address',
  url: 'a URL',
}
