import { inspect } from 'node:util'

/** A value that prints as a mask, so that no log line, error or `postern config` shows it by accident. */
export type Secret<T = string> = { readonly reveal: () => T }

/** Wraps a secret. Only `reveal()` gives it back: it cannot be printed, serialized or cloned. */
export function secret<T = string>(value: T): Secret<T> {
  const masked = () => '[secret]'
  return Object.freeze({ reveal: () => value, toString: masked, toJSON: masked, [inspect.custom]: masked })
}
