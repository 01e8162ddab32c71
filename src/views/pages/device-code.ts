import type { Texts } from '../texts/index.ts'

/** The reason why a device's code was rejected. */
export type DeviceCodeError = keyof Texts['deviceCode']['errors']

export type DeviceCodePage = {
  action: string
  xsrf: string
  userCode: string | undefined
  error: DeviceCodeError | undefined
}
