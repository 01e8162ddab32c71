import type { ShownClient } from '../shown-client.ts'

export type DeviceConfirmPage = {
  action: string
  xsrf: string
  userCode: string
  client: ShownClient
  device: { ip: string | undefined; userAgent: string | undefined }
}
