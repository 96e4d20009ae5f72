/** A checkpoint that is not there, or is not what its manifest says; the message says which part, and what is wrong. */
export class CheckpointError extends Error {
  override readonly name = 'CheckpointError';
}
