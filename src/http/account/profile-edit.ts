import { z } from 'zod'
import type { Acting } from '../../accounts/acting.ts'
import * as ownClaims from '../../accounts/own-claims.ts'
import type { EditableClaim } from '../../config/settings/account-pages.ts'
import { allLanguages } from '../../languages/index.ts'
import { readerOf } from '../../oidc/request/reader.ts'
import type { AccountNotice } from '../../views/pages/account.ts'
import type { ProfileError, ProfileField } from '../../views/pages/account-profile.ts'
import type { Render } from '../../views/render.ts'
import { byPerson } from '../by-person.ts'
import { keepLanguage } from '../language-choice.ts'
import type { Notes } from '../notes.ts'
import { addressOf } from './details.ts'
import { type FrameOf, leadTo } from './frame.ts'
import { type AccountHandler, accountForm } from './handler.ts'

type FieldName = keyof ownClaims.Typed

const field = z.string().max(4_096).optional()

export const profileForm = accountForm.extend({
  name: field,
  given_name: field,
  family_name: field,
  middle_name: field,
  nickname: field,
  preferred_username: field,
  profile: field,
  picture: field,
  website: field,
  gender: field,
  birthdate: field,
  zoneinfo: field,
  locale: field,
  phone_number: field,
  street_address: field,
  postal_code: field,
  locality: field,
  region: field,
  country: field,
} satisfies Record<FieldName, typeof field>)

/** A form that was rejected: what was typed, unless it is too long for a cookie, and why. */
export type RefusedProfile = { typed: ownClaims.Typed | undefined; flaws: Partial<Record<FieldName, ProfileError>> }

/** The facts that let a browser fill in a field (HTML §4.10.18.7) and show the right keyboard. */
// biome-ignore format: it is a table
const inputs: Record<FieldName, Pick<ProfileField, 'kind' | 'autocomplete' | 'hint'>> = {
  name:               { kind: 'text',    autocomplete: 'name',             hint: undefined },
  given_name:         { kind: 'text',    autocomplete: 'given-name',       hint: undefined },
  family_name:        { kind: 'text',    autocomplete: 'family-name',      hint: undefined },
  middle_name:        { kind: 'text',    autocomplete: 'additional-name',  hint: undefined },
  nickname:           { kind: 'text',    autocomplete: 'nickname',         hint: undefined },
  preferred_username: { kind: 'text',    autocomplete: 'username',         hint: undefined },
  profile:            { kind: 'url',     autocomplete: 'off',              hint: 'profile' },
  picture:            { kind: 'url',     autocomplete: 'photo',            hint: 'picture' },
  website:            { kind: 'url',     autocomplete: 'url',              hint: 'website' },
  gender:             { kind: 'text',    autocomplete: 'sex',              hint: undefined },
  birthdate:          { kind: 'text',    autocomplete: 'bday',             hint: 'birthdate' },
  zoneinfo:           { kind: 'text',    autocomplete: 'off',              hint: undefined },
  locale:             { kind: 'text',    autocomplete: 'language',         hint: 'locale' },
  phone_number:       { kind: 'tel',     autocomplete: 'tel',              hint: 'phone_number' },
  street_address:     { kind: 'text',    autocomplete: 'address-line1',    hint: undefined },
  postal_code:        { kind: 'text',    autocomplete: 'postal-code',      hint: undefined },
  locality:           { kind: 'text',    autocomplete: 'address-level2',   hint: undefined },
  region:             { kind: 'text',    autocomplete: 'address-level1',   hint: undefined },
  country:            { kind: 'text',    autocomplete: 'country-name',     hint: undefined },
}

const path = '/account/profile'
const longestNote = 3_000 // bytes in base64; a cookie has 4,096 with its name and signature

export type ProfileEdit = {
  show: AccountHandler<unknown>
  submit: AccountHandler<z.output<typeof profileForm>>
}

/** Creates the page with a person's profile, and the handler of its form. */
export function profileEdit({
  act,
  render,
  frameOf,
  notices,
  refusedProfiles,
  editableClaims,
  issuer,
}: {
  act: Acting
  render: Render
  frameOf: FrameOf
  notices: Notes<AccountNotice>
  refusedProfiles: Notes<RefusedProfile>
  editableClaims: readonly EditableClaim[]
  issuer: string
}): ProfileEdit {
  const isSecure = issuer.startsWith('https:')
  const single = editableClaims.filter((claim) => claim !== 'address')
  const address = editableClaims.includes('address') ? ownClaims.addressParts : []

  return {
    async show(ctx, person) {
      const { typed, flaws } = refusedProfiles.take(ctx, path) ?? { typed: undefined, flaws: {} }
      const stored = shownOf(person.account.profile)
      const fieldOf = (name: FieldName): ProfileField => ({
        name,
        ...inputs[name],
        maxLength: ownClaims.longestOf(name),
        value: typed?.[name] ?? stored[name] ?? '',
        options: optionsOf(name, stored[name]),
        error: flaws[name],
      })

      const hasErrors = Object.keys(flaws).length > 0
      if (hasErrors) ctx.status = 400
      ctx.body = render(readerOf(ctx), 'account-profile', {
        ...frameOf(ctx, person, '/account'),
        hasErrors,
        fields: single.map(fieldOf),
        addressFields: address.map(fieldOf),
      })
    },

    async submit(ctx, { account }, { csrf: _csrf, ...fields }) {
      const typed = Object.fromEntries(
        Object.entries(fields).filter(([, value]) => value !== undefined),
      ) as ownClaims.Typed
      const { claims, flaws } = ownClaims.check(typed, editableClaims, shownOf(account.profile))
      if (Object.keys(flaws).length > 0) {
        const fits = Buffer.byteLength(JSON.stringify(typed)) * 1.34 < longestNote
        refusedProfiles.leave(ctx, path, { typed: fits ? typed : undefined, flaws })
        ctx.status = 303
        ctx.redirect(path)
        return
      }

      const changed = await act(byPerson(ctx), (context) => ownClaims.edit(context, account.id, claims))
      // Otherwise the language that was chosen in this browser before would hide the one that was chosen now.
      if (changed.includes('locale')) {
        keepLanguage(
          ctx,
          allLanguages.find((language) => language === claims['locale']),
          { isSecure },
        )
      }

      leadTo(ctx, notices, '/account', { code: changed.length > 0 ? 'profile-saved' : 'profile-unchanged' })
    },
  }
}

/** Returns the details in a profile as the form shows them. */
function shownOf(profile: Record<string, unknown>): ownClaims.Typed {
  const texts = Object.entries(profile).filter(([name, value]) => name in inputs && typeof value === 'string')
  return { ...Object.fromEntries(texts), ...addressOf(profile) }
}

/** Returns what can be chosen in a field. A value that an administrator set stays possible. */
function optionsOf(name: FieldName, stored: string | undefined): ProfileField['options'] {
  if (name === 'zoneinfo') {
    const zones = ownClaims.timeZones()
    const kept = stored !== undefined && !zones.includes(stored) ? [stored] : []
    return [...kept, ...zones].map((value) => ({ value, text: value.replaceAll('_', ' ') }))
  }
  if (name !== 'locale') return undefined
  const kept = stored !== undefined && !allLanguages.some((language) => language === stored) ? [stored] : []
  return [...kept, ...allLanguages].map((value) => ({ value, text: ownName(value), lang: value }))
}

/** Returns the name of a language in itself. */
function ownName(language: string): string {
  try {
    const name = new Intl.DisplayNames(language, { type: 'language' }).of(language) ?? language
    return name.charAt(0).toLocaleUpperCase(language) + name.slice(1)
  } catch {
    return language
  }
}
