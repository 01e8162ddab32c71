import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { commands, findCommand } from '../../src/cli/commands.ts'
import { readArguments } from '../../src/cli/run-command.ts'
import { commandsIn } from '../support/shell-words.ts'

const repository = join(import.meta.dirname, '..', '..')
const documents = ['*.md', 'docs/*.md', 'docs/quickstarts/*.md', 'examples/**/*.md']
  .flatMap((pattern) => globSync(pattern, { cwd: repository }))
  .map((name) => ({ name, text: readFileSync(join(repository, name), 'utf8') }))
const all = commands()

const isOfPostern = ([program]: readonly string[]) => program === 'postern' || program === './postern'

/**
 * Returns the arguments of every call of the command line in a document: in blocks of shell commands, and in sentences.
 */
function callsIn(text: string): { inBlocks: string[][]; inSentences: string[][] } {
  const blocks = [...text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, block = '']) => block)
  const sentences = text.replace(/^```[\s\S]*?^```$/gm, '')
  const spans = [...sentences.matchAll(/`([^`\n]+)`/g)]
    .map(([, span = '']) => span)
    .filter((span) => !span.includes('<'))
  const calls = (scripts: string[]) => scripts.flatMap(commandsIn).filter(isOfPostern)
  return { inBlocks: calls(blocks), inSentences: calls(spans) }
}

/** Returns the problem of a call, if there is one. */
function problemOf([, ...args]: readonly string[]): string | undefined {
  const found = findCommand(args, all)
  if (!found) {
    const isNoun = args.length === 1 && all.some(({ name }) => name.startsWith(`${args[0]} `))
    return args.length === 0 || isNoun ? undefined : 'there is no such command'
  }
  try {
    readArguments(found.command, args.slice(found.length))
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message.split('\n')[0] : String(error)
  }
}

describe('every command that the documents show', () => {
  const calls = documents.flatMap(({ name, text }) => {
    const { inBlocks, inSentences } = callsIn(text)
    return [...inBlocks, ...inSentences].map((words) => ({ name, words }))
  })

  test('exists, with the options that it is shown with', () => {
    expect(calls.length).toBeGreaterThan(100)
    const problems = calls.flatMap(({ name, words }) => {
      const problem = problemOf(words)
      return problem === undefined ? [] : [`${name}: ${words.join(' ')}: ${problem}`]
    })
    expect(problems).toEqual([])
  })

  test('uses ./postern when it can be copied', () => {
    const others = documents.flatMap(({ name, text }) =>
      callsIn(text).inBlocks.flatMap(([program]) => (program === './postern' ? [] : [`${name}: ${program}`])),
    )
    expect(others).toEqual([])
    for (const { name, text } of documents) expect(text, name).not.toMatch(/npx postern|npm run (-s )?postern/)
  })

  test.each([
    ['postern acount list', 'there is no such command'],
    ['postern account lst', 'there is no such command'],
    ['postern resource create https://api.example --title X', "Unknown option '--title'."],
    ['postern keys list one two', 'There is one word too many.'],
  ])('is reported if it does not exist: %s', (line, problem) => {
    expect(problemOf(commandsIn(line)[0] ?? [])).toContain(problem)
  })
})
