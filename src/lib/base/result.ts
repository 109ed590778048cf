/** Values for expected failure: bad bytes, bad configuration, refusals. Pure. */

export interface Ok<T> {
  readonly ok: true;
  readonly value: T;
}

export interface Err<E> {
  readonly ok: false;
  readonly error: E;
}

/** Either a value or an error that the caller must look at; errors are unions on `kind`. */
export type Result<T, E> = Ok<T> | Err<E>;

/** Wraps a value. */
export function ok<T>(value: T): Ok<T> {
  return { ok: true, value };
}

/** Wraps an error. */
export function err<E>(error: E): Err<E> {
  return { ok: false, error };
}
