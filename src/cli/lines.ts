const lineEnd = 10

/** A line of a file, with its number from 1. A line that is too long has no text: nobody keeps it in memory. */
export type Line = { number: number; text: string | undefined }

/** Reads the lines of a file, each of at most this many bytes. Only a line feed ends one, as in NDJSON. */
export async function* linesOf(input: AsyncIterable<Buffer>, mostBytes: number): AsyncGenerator<Line> {
  let number = 1
  let parts: Buffer[] = []
  let length = 0
  const add = (part: Buffer) => {
    length += part.length
    if (length > mostBytes) parts = []
    else parts.push(part)
  }
  const line = (): Line => ({ number, text: length > mostBytes ? undefined : Buffer.concat(parts).toString('utf8') })
  for await (const chunk of input) {
    let from = 0
    for (let end = chunk.indexOf(lineEnd); end >= 0; end = chunk.indexOf(lineEnd, from)) {
      add(chunk.subarray(from, end))
      yield line()
      number += 1
      from = end + 1
      parts = []
      length = 0
    }
    add(chunk.subarray(from))
  }
  if (length > 0) yield line()
}
