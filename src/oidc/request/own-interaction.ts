import { sha256 } from '../../crypto/digests.ts'
import { isBoundTo } from './browser.ts'
import { fromStored } from './payloads.ts'
import { readOnce, type Storage } from './storage.ts'
import { current } from './work.ts'

/** Returns whether an interaction was begun in the browser of this request. Where no browser is known, none was. */
export function isOwn(interaction: Record<string, unknown>): boolean {
  const browser = current()?.browser
  return browser !== undefined && isBoundTo(browser, interaction['browser'])
}

/**
 * Returns whether there is an interaction that was begun in the browser of this request. The engine need not read it
 * again.
 */
export async function goesOnHere(storage: Storage, uid: string): Promise<boolean> {
  const found = await readOnce(storage, sha256(uid))
  const interaction = found.find(({ model }) => model === 'Interaction')
  return interaction !== undefined && isOwn(fromStored(storage, interaction, uid))
}
