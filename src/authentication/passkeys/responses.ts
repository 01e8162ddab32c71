import { z } from 'zod'

const base64url = z
  .string()
  .max(8_192)
  .regex(/^[A-Za-z0-9_-]+$/)
const credentialId = base64url.max(1_364) // 1,023 bytes (WebAuthn Level 3 §4, credential ID)

const common = {
  id: credentialId,
  rawId: credentialId,
  type: z.literal('public-key'),
  clientExtensionResults: z.object({}),
}

/** A new passkey as a browser sends it (WebAuthn Level 3 §5.1, `RegistrationResponseJSON`). */
export const registrationResponse = z.object({
  ...common,
  response: z.object({
    clientDataJSON: base64url,
    attestationObject: z
      .string()
      .max(32_768)
      .regex(/^[A-Za-z0-9_-]+$/),
    transports: z.array(z.string().max(32)).max(10).default([]),
  }),
})

/** The signature of a passkey as a browser sends it (WebAuthn Level 3 §5.1, `AuthenticationResponseJSON`). */
export const authenticationResponse = z.object({
  ...common,
  response: z.object({
    clientDataJSON: base64url,
    authenticatorData: base64url,
    signature: base64url,
    userHandle: base64url.nullish(),
  }),
})

/** Parses what a form has of a browser. `undefined` if it is not what browsers send. */
export function parseResponse<Schema extends z.ZodType>(text: string, schema: Schema): z.output<Schema> | undefined {
  try {
    return schema.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

/** Returns the challenge that a browser says was signed. Nothing vouches for it yet. */
export function challengeIn({ response }: { response: { clientDataJSON: string } }): string {
  try {
    const data = z
      .object({ challenge: base64url })
      .safeParse(JSON.parse(Buffer.from(response.clientDataJSON, 'base64url').toString()))
    return data.data?.challenge ?? ''
  } catch {
    return ''
  }
}
