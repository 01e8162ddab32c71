import { randomBytes } from 'node:crypto'
import type { Canaries } from '../../support/canaries.ts'

/** The channels for data to leave a deployment, with everything that left through each. */
export type Channels = {
  /** Records what left. `meant` are the secrets that were requested. */
  write(channel: string, text: string, meant?: readonly string[]): void
  /** Returns a harmless value to send where secrets must not go; finding it shows that the channel is searched. */
  marker(channel: string): string
  names(): string[]
  sizeOf(channel: string): number
  /** Counts how often the marker was found. */
  markersIn(channel: string): number
  /** Returns the secrets found in a channel, with some of the text around them. */
  leaks(canaries: Canaries, channel: string): string[]
}

const [shownBefore, shownAfter] = [160, 80] // characters

export function createChannels(): Channels {
  const texts = new Map<string, string[]>()
  const markers = new Map<string, string>()
  const of = (channel: string) => {
    const found = texts.get(channel) ?? []
    texts.set(channel, found)
    return found
  }

  return {
    write(channel, text, meant = []) {
      of(channel).push(meant.reduce((rest, secret) => rest.replaceAll(secret, '(meant)'), text))
    },
    marker(channel) {
      of(channel)
      const marker = markers.get(channel) ?? `marker${randomBytes(6).toString('hex')}`
      markers.set(channel, marker)
      return marker
    },
    names: () => [...texts.keys()],
    sizeOf: (channel) => of(channel).reduce((sum, { length }) => sum + length, 0),
    markersIn: (channel) =>
      of(channel).filter((text) => text.includes(markers.get(channel) ?? '(there is none)')).length,
    leaks: (canaries, channel) =>
      of(channel).flatMap((text) =>
        [...canaries.placesIn(text)].map(
          ([kind, at]) => `${kind}: ${text.slice(Math.max(0, at - shownBefore), at + shownAfter)}`,
        ),
      ),
  }
}

/** Makes a table of kinds and one of channels, for the output of the test. */
export function tableOf(canaries: Canaries, channels: Channels): string {
  const kinds = [...canaries.kinds()].sort(([a], [b]) => (a < b ? -1 : 1))
  const rows = channels.names().map((name) => [name, channels.sizeOf(name), channels.markersIn(name)] as const)
  const total = kinds.reduce((sum, [, count]) => sum + count, 0)
  return [
    `${'canaries'.padStart(8)}  kind`,
    ...kinds.map(([kind, count]) => `${String(count).padStart(8)}  ${kind}`),
    `${String(total).padStart(8)}  in all`,
    '',
    `${'characters'.padStart(10)}  ${'markers found'.padStart(13)}  channel`,
    ...rows.map(([name, size, found]) => `${String(size).padStart(10)}  ${String(found).padStart(13)}  ${name}`),
  ].join('\n')
}
