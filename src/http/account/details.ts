import { addressParts } from '../../accounts/own-claims.ts'
import type { AccountPage, ProfileLabel } from '../../views/pages/account.ts'

// biome-ignore format: it is a list
const shown = ['name', 'given_name', 'family_name', 'middle_name', 'nickname', 'preferred_username', 'birthdate', 'gender', 'phone_number', 'website', 'profile', 'zoneinfo'] as const

/** Returns the details in a profile that are texts, and the parts of the address, in the order of the page. */
export function detailsOf(profile: Record<string, unknown>): AccountPage['details'] {
  const details = shown.map((label) => ({ label, value: profile[label] }))
  return [...details, ...Object.entries(addressOf(profile)).map(([label, value]) => ({ label, value }))].filter(
    (detail): detail is { label: ProfileLabel; value: string } =>
      typeof detail.value === 'string' && detail.value !== '',
  )
}

/** Returns the parts of the address in a profile, each in one line. */
export function addressOf({
  address,
}: Record<string, unknown>): Partial<Record<(typeof addressParts)[number], string>> {
  const parts = typeof address === 'object' && address !== null ? (address as Record<string, unknown>) : {}
  return Object.fromEntries(
    addressParts.flatMap((part) => {
      const value = parts[part]
      return typeof value === 'string' ? [[part, value.replace(/\s*\n\s*/g, ', ')]] : []
    }),
  )
}
