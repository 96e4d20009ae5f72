/** What was thrown, without a word of what it says: its message may quote a record, or be no text, or throw itself. */
export function kindOfThrown(thrown: unknown): string {
  if (!(thrown instanceof Error)) return thrown === null ? 'null' : `a value of type ${typeof thrown}`;
  try {
    return (thrown.constructor as { name?: unknown }).name === undefined
      ? 'an Error'
      : thrown.constructor.name;
  } catch {
    return 'an Error';
  }
}
