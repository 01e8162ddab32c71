/** A slot, a session or an object. Only the module can interpret it. */
export type Handle = Buffer
export type Attribute = { type: number; value?: number | boolean | string | Buffer }
export type Mechanism = { mechanism: number; parameter?: object }

/** A PKCS #11 module. Each function is the one in v2.40 §5 with its name, and throws if that fails. */
export type Cryptoki = {
  load(path: string): void
  C_Initialize(options: { flags: number }): void
  C_Finalize(): void
  C_GetSlotList(withToken: boolean): Handle[]
  C_GetTokenInfo(slot: Handle): { label: string; flags: number }
  C_GetMechanismList(slot: Handle): number[]
  C_OpenSession(slot: Handle, flags: number): Handle
  C_CloseSession(session: Handle): void
  C_Login(session: Handle, userType: number, pin: string): void
  C_FindObjectsInit(session: Handle, template: Attribute[]): void
  C_FindObjects(session: Handle, maxObjectCount: number): Handle[]
  C_FindObjectsFinal(session: Handle): void
  C_GetAttributeValue(session: Handle, object: Handle, template: Attribute[]): { type: number; value: Buffer }[]
  C_DestroyObject(session: Handle, object: Handle): void
  C_SignInit(session: Handle, mechanism: Mechanism, key: Handle): void
  /** Runs on a thread of its own. The caller must keep `data` from garbage collection until it ends. */
  C_SignAsync(session: Handle, data: Buffer, signature: Buffer): Promise<Buffer>
  C_GenerateKeyPairAsync(
    session: Handle,
    mechanism: Mechanism,
    publicTemplate: Attribute[],
    privateTemplate: Attribute[],
  ): Promise<{ publicKey: Handle; privateKey: Handle }>
}

// Not a literal, so that the types are the same with and without the package, which is installed only where there is a
// token. For the same reason the types above are written here.
const packageName: string = 'pkcs11js'

/** Loads a module. */
export async function load(path: string): Promise<Cryptoki> {
  const cryptoki = new (await importPackage()).PKCS11()
  try {
    cryptoki.load(path)
  } catch (cause) {
    throw new Error('PKCS11_MODULE cannot be loaded as a PKCS #11 module.', { cause })
  }
  return cryptoki
}

async function importPackage(): Promise<{ PKCS11: new () => Cryptoki }> {
  try {
    return (await import(packageName)).default
  } catch (cause) {
    throw new Error(
      'PKCS11_MODULE needs the npm package pkcs11js 2.1.7, which is not installed and built; see docs/key-service.md.',
      { cause },
    )
  }
}
