import type { Hex } from './colours.ts'
import { type Scheme, type Shades, shadesOf, strongShadesOf } from './shades.ts'

/** Writes the style sheet that puts an accent in place of that of templates/assets/postern.css. */
export function styleSheetOf(accent: Hex): string {
  const media = {
    light: ['', '@media (prefers-contrast: more)'],
    dark: ['@media (prefers-color-scheme: dark)', '@media (prefers-color-scheme: dark) and (prefers-contrast: more)'],
  } as const
  const rules = (index: 0 | 1, derive: (given: Hex, scheme: Scheme) => Shades) =>
    (['light', 'dark'] as const).map((scheme) => ruleOf(media[scheme][index], derive(accent, scheme)))
  return `${[...rules(0, shadesOf), ...rules(1, strongShadesOf)].join('\n')}\n`
}

function ruleOf(condition: string, shades: Shades): string {
  const rule = `:root {${Object.entries(shades)
    .map(([name, hex]) => ` ${tokenOf(name)}: ${hex};`)
    .join('')} }`
  return condition ? `${condition} { ${rule} }` : rule
}

/** Returns the name that a shade has in style sheets: `onFill` is `--on-fill`. */
export function tokenOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}
