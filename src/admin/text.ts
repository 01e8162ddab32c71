import { z } from 'zod'

type JsonSchema = { type?: string; anyOf?: JsonSchema[]; description?: string; default?: unknown }

/**
 * Converts text values, from a command line or a query string, to the types of an operation's input. A value that cannot be
 * converted stays text, so that the schema reports what is wrong with it.
 *
 * A list is written as repeated values, or as one value with commas or spaces. An object is JSON, or `name=text,other`.
 */
export function fromText(
  input: z.ZodObject,
  values: Record<string, string | readonly string[] | undefined>,
): Record<string, unknown> {
  const properties = propertiesOf(input)
  const given = Object.entries(values).filter(([, value]) => value !== undefined)
  return Object.fromEntries(given.map(([name, value]) => [name, read(typesOf(properties[name]), value ?? '')]))
}

/** An option of an operation: its description with the default, a placeholder for its value, and whether it is required. */
export type InputOption = { description: string; value: string; isRequired: boolean }

/** Returns the options of an operation, by the names of its input fields. */
export function optionsOf(input: z.ZodObject): Record<string, InputOption> {
  const { required = [] } = z.toJSONSchema(input, { io: 'input', unrepresentable: 'any' })
  return Object.fromEntries(
    Object.entries(propertiesOf(input)).map(([name, schema]) => {
      const meaning = schema.description ?? schema.anyOf?.find(({ description }) => description)?.description ?? ''
      const description = schema.default === undefined ? meaning : `${meaning} Default: ${String(schema.default)}.`
      return [name, { description, value: placeholderFor(schema), isRequired: required.includes(name) }]
    }),
  )
}

/** The placeholder of an option that is true or false. */
export const yesOrNo = 'true|false'

function placeholderFor(schema: JsonSchema): string {
  const types = typesOf(schema)
  if (types.includes('boolean')) return yesOrNo
  if (types.includes('integer') || types.includes('number')) return 'NUMBER'
  if (types.includes('array')) return 'LIST'
  if (types.includes('object')) return 'JSON'
  return 'TEXT'
}

function propertiesOf(input: z.ZodObject): Record<string, JsonSchema> {
  const { properties = {} } = z.toJSONSchema(input, { io: 'input', unrepresentable: 'any' })
  return properties as Record<string, JsonSchema>
}

function typesOf(schema: JsonSchema | undefined): (string | undefined)[] {
  return [schema?.type, ...(schema?.anyOf ?? []).map(({ type }) => type)]
}

function read(types: (string | undefined)[], value: string | readonly string[]): unknown {
  const [text = '', ...more] = [value].flat()
  if (/^\s*[[{]/.test(text) && (types.includes('object') || types.includes('array'))) return json(text)
  if (types.includes('array')) return [text, ...more].flatMap((item) => item.split(/[\s,]+/).filter(Boolean))
  if (more.length > 0) return value // it is repeated but must not be, which the schema reports
  if (types.includes('integer') || types.includes('number')) return /^-?\d+$/.test(text) ? Number(text) : text
  if (types.includes('boolean')) return text === 'true' ? true : text === 'false' ? false : text
  if (types.includes('object')) return pairs(text)
  return text
}

function json(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function pairs(text: string): Record<string, string> {
  const entries = text.split(',').filter((entry) => entry.trim() !== '')
  return Object.fromEntries(
    entries.map((entry) => {
      const [name = '', ...words] = entry.split('=')
      return [name.trim(), words.join('=').trim()]
    }),
  )
}
