/**
 * Passes on what a user's function gave, unless that is a Promise: everything up to the sinks is synchronous, so that
 * a retry sees what the first run saw. An asynchronous filter would let everything pass, and an asynchronous
 * operator's Promise would be published as `{}`.
 * @param what the function, for the message.
 * @throws TypeError for a Promise or another thenable.
 */
export function requireSynchronous<T>(value: T, what: string): T {
  if (
    typeof value !== 'object' ||
    value === null ||
    typeof (value as { then?: unknown }).then !== 'function'
  ) {
    return value;
  }
  // Nobody waits for it: were it to reject, the process would end and the record would be taken for a killer.
  Promise.resolve(value).catch(() => undefined);
  throw new TypeError(
    `${what} gave a Promise; it must be synchronous, so that a retry sees the same: take 'async' away, and call ` +
      'other services before the stream or in forEach',
  );
}
