import { z } from 'zod'

// Scripts whose letters carry more than two marks, and those among them that have joiners between letters (Unicode 17,
// chapters 9, 12–16).
const joining = String.raw`\p{scx=Arab}\p{sc=Syrc}\p{scx=Deva}\p{scx=Beng}\p{scx=Guru}\p{scx=Gujr}\p{scx=Orya}\p{scx=Taml}\p{scx=Telu}\p{scx=Knda}\p{scx=Mlym}\p{scx=Sinh}`
const stacking = String.raw`${joining}\p{scx=Hebr}\p{scx=Mymr}\p{scx=Khmr}\p{scx=Lana}\p{scx=Tibt}\p{scx=Java}\p{scx=Bali}`

const emoji = /\p{RGI_Emoji}/gv
// Joiners between letters of those scripts, or after a virama, which ends many words (UAX #31 §2.3, A1, A2 and B).
const virama = String.raw`\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d\u0dca`
const joiner = new RegExp(`(?<=[${joining}])[\\u200c\\u200d](?=[${joining}])|(?<=[${virama}])[\\u200c\\u200d]`, 'gv')
// Selectors of the form of a character: of Han characters in the names of people and places, and of Mongolian letters.
const variation = /(?<=\p{sc=Han})[\ufe00-\ufe02\u{e0100}-\u{e01ef}]|(?<=[\p{sc=Mong}&&\p{L}])[\u180b-\u180f]/gv
// Characters that are blank although they count as letters or symbols, or that stand in for something missing.
const blank = String.raw`\p{Default_Ignorable_Code_Point}\u2800\u{1d159}\u{13441}\u{13442}\u{16fe4}\ufffc\ufffd`
const visible = new RegExp(`^[[\\p{L}\\p{M}\\p{N}\\p{P}\\p{S} ]--[${blank}]]*$`, 'v')
const towering = new RegExp(`[\\p{M}--[${stacking}]]{3}|\\p{M}{5}|(\\p{M})\\1`, 'v')
const looseMark = /(?<![\p{L}\p{N}\p{M}])\p{M}/u

/**
 * Says what is wrong with a name that pages show, if anything. A name consists of visible characters, so that it says
 * something and neither rearranges nor overlaps the text around it: letters, digits, punctuation and symbols of any
 * script, single spaces, and as many marks on a letter as its script needs (UTS #39 §5.4). Invisible characters are
 * allowed where they shape others: in emoji that Unicode recommends for general interchange (UTS #51), between letters
 * that they join or separate (UAX #31 §2.3), and as selectors of a form of the character before.
 */
export function nameProblem(name: string): string | undefined {
  const shown = name.replace(emoji, '\u25cb').replace(joiner, '').replace(variation, '')
  if (!visible.test(shown)) return 'must not contain characters that are not seen, or that control how text is shown'
  if (/^ | $| {2}/.test(shown)) return 'must not begin or end with a space, or have several in a row'
  if (!/[\p{L}\p{N}]/u.test(shown)) return 'must contain a letter or a digit'
  if (towering.test(shown) || looseMark.test(shown)) return 'must not pile up marks, or have one without a letter'
  return undefined
}

/** The schema of a name that pages show. */
export const displayName = z
  .string()
  .min(1)
  .max(200)
  .superRefine((name, context) => {
    const problem = nameProblem(name)
    if (problem) context.addIssue(problem)
  })
