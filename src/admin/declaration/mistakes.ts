import type { z } from 'zod'
import { closest } from '../../config/suggestions.ts'
import type { Path } from './document.ts'
import { declaration } from './schema.ts'

/** An invalid member, and what is wrong with it. */
export type Mistake = { path: Path; message: string }

/** Writes a path as text: `clients.web.redirect_uris[0]`, `resources["https://api.example"].name`. */
export function spell(path: Path): string {
  return path
    .map((part, index) => {
      if (typeof part === 'number') return `[${part}]`
      const name = String(part)
      if (!/^[\w-]+$/.test(name)) return `[${JSON.stringify(name)}]`
      return index === 0 ? name : `.${name}`
    })
    .join('')
}

/** Words the schema's issues for the author of the declaration. */
export function mistakesOf(issues: readonly z.core.$ZodIssue[], has: (path: Path) => boolean): Mistake[] {
  return issues.flatMap((issue) => {
    if (issue.code !== 'unrecognized_keys') return { path: issue.path, message: describe(issue, has) }
    const known = namesIn(schemaAt(declaration, issue.path))
    return issue.keys.map((key) => {
      const meant = closest(key, known)
      return { path: [...issue.path, key], message: `is unknown${meant ? `; did you mean ${meant}?` : ''}` }
    })
  })
}

function describe(issue: z.core.$ZodIssue, has: (path: Path) => boolean): string {
  if (!has(issue.path)) return 'is missing'
  if (issue.code === 'invalid_key') return issue.issues.map(({ message }) => message).join(', ')
  if (issue.code === 'invalid_value')
    return `must be ${issue.values.map((value) => JSON.stringify(value)).join(' or ')}`
  if (issue.code === 'invalid_type') return `must be ${nouns[issue.expected] ?? `a ${issue.expected}`}`
  if (issue.code !== 'invalid_union') return issue.message
  // The branch that accepted the most is probably the intended one.
  const inside = issue.errors.flat().filter(({ path }) => path.length > 0)
  const found = inside.length > 0 ? inside : issue.errors.flat()
  const descriptions = found.map((error) => describe({ ...error, path: [] }, () => true))
  const isChoice = descriptions.every((description) => description.startsWith(choice))
  return isChoice
    ? choice + descriptions.map((text) => text.slice(choice.length)).join(' or ')
    : descriptions.join(', ')
}

const choice = 'must be '

const nouns: Record<string, string> = {
  array: 'a list',
  int: 'a whole number',
  null: 'null',
  object: 'a mapping',
  record: 'a mapping, such as {}',
}

type Schema = z.core.$ZodType & { def: { innerType?: Schema; valueType?: Schema; shape?: Record<string, Schema> } }

/** Returns the schema of the value at a path. */
function schemaAt(schema: z.core.$ZodType | undefined, path: Path): Schema | undefined {
  const { def } = (schema ?? { def: {} }) as Schema
  if (def.innerType) return schemaAt(def.innerType, path)
  const [name, ...rest] = path
  if (name === undefined) return schema as Schema | undefined
  return schemaAt(def.valueType ?? def.shape?.[String(name)], rest)
}

const namesIn = (schema: Schema | undefined) => Object.keys(schema?.def.shape ?? {})
