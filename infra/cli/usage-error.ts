/** What the person at the terminal got wrong: it is said without a stack, and the command exits with 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
