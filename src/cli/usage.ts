/** A mistake in how the command was called. */
export class Usage extends Error {
  override name = 'Usage'
}
