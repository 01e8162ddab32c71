import Provider from 'oidc-provider'

/**
 * The engine without the response mode `form_post`. It has no switch for that. An unregistered mode is unknown
 * everywhere: to requests, and to errors, which would otherwise be sent in it.
 */
export class WithoutFormPost extends Provider {
  override registerResponseMode(...[name, handler]: Parameters<Provider['registerResponseMode']>): void {
    if (!name.startsWith('form_post')) super.registerResponseMode(name, handler)
  }
}

/** Removes `form_post` from the response modes in the metadata. */
export function advertiseNoFormPost(provider: Provider): void {
  provider.use(async (ctx, next) => {
    await next()
    const metadata = ctx.body as { response_modes_supported?: string[] } | undefined
    if (!ctx.path.startsWith('/.well-known/') || !metadata?.response_modes_supported) return
    metadata.response_modes_supported = metadata.response_modes_supported.filter(
      (mode) => !mode.startsWith('form_post'),
    )
  })
}
