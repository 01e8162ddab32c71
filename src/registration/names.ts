import { z } from 'zod'

// Scripts whose letters carry more marks than two, and join by what stands between them (Unicode 17, chapters 9, 12–16).
const joining = String.raw`\p{scx=Arab}\p{sc=Syrc}\p{scx=Deva}\p{scx=Beng}\p{scx=Guru}\p{scx=Gujr}\p{scx=Orya}\p{scx=Taml}\p{scx=Telu}\p{scx=Knda}\p{scx=Mlym}\p{scx=Sinh}`
const stacking = String.raw`${joining}\p{scx=Hebr}\p{scx=Mymr}\p{scx=Khmr}\p{scx=Lana}\p{scx=Tibt}\p{scx=Java}\p{scx=Bali}`

const emoji = /\p{RGI_Emoji}/gv
// Between letters of those scripts, or after a virama, which is the end of many a word (UAX #31 §2.3, A1, A2 and B).
const virama = String.raw`\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d\u0dca`
const joiner = new RegExp(`(?<=[${joining}])[\\u200c\\u200d](?=[${joining}])|(?<=[${virama}])[\\u200c\\u200d]`, 'gv')
// Which of several forms a character has: of Han in the names of people and places, and of Mongolian letters.
const variation = /(?<=\p{sc=Han})[\ufe00-\ufe02\u{e0100}-\u{e01ef}]|(?<=[\p{sc=Mong}&&\p{L}])[\u180b-\u180f]/gv
// Blank though they count as letters or symbols, or a stand-in for what is missing.
const blank = String.raw`\p{Default_Ignorable_Code_Point}\u2800\u{1d159}\u{13441}\u{13442}\u{16fe4}\ufffc\ufffd`
const visible = new RegExp(`^[[\\p{L}\\p{M}\\p{N}\\p{P}\\p{S} ]--[${blank}]]*$`, 'v')
const towering = new RegExp(`[\\p{M}--[${stacking}]]{3}|\\p{M}{5}|(\\p{M})\\1`, 'v')
const looseMark = /(?<![\p{L}\p{N}\p{M}])\p{M}/u

/**
 * What is wrong with a name that people are shown, if anything. It is made of what can be seen, so that it says
 * something and neither rearranges nor overlaps what stands around it: letters, digits, punctuation and symbols of any
 * script, single spaces, and as many marks on a letter as that script needs (UTS #39 §5.4). Characters without a shape
 * of their own are allowed where they give one to others: in emoji that Unicode recommends for general interchange
 * (UTS #51), between letters that they join or part (UAX #31 §2.3), and to choose a form of the one before.
 */
export function nameProblem(name: string): string | undefined {
  const shown = name.replace(emoji, '\u25cb').replace(joiner, '').replace(variation, '')
  if (!visible.test(shown)) return 'must not contain characters that are not seen, or that control how text is shown'
  if (/^ | $| {2}/.test(shown)) return 'must not begin or end with a space, or have several in a row'
  if (!/[\p{L}\p{N}]/u.test(shown)) return 'must contain a letter or a digit'
  if (towering.test(shown) || looseMark.test(shown)) return 'must not pile up marks, or have one without a letter'
  return undefined
}

/** A name that people are shown. */
export const displayName = z
  .string()
  .min(1)
  .max(200)
  .superRefine((name, context) => {
    const problem = nameProblem(name)
    if (problem) context.addIssue(problem)
  })
