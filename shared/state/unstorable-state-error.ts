/** A user's state holds something that cannot be stored faithfully: the record that made it is rejected. */
export class UnstorableStateError extends Error {
  override readonly name = 'UnstorableStateError';
}
