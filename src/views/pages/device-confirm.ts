import type { Asker } from '../askers.ts'

export type DeviceConfirmPage = {
  action: string
  xsrf: string
  userCode: string
  client: Asker
  device: { ip: string | undefined; userAgent: string | undefined }
}
