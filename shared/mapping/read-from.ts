/** Where reading of a shard starts or goes on. */
export type ReadFrom =
  | { readonly kind: 'trimHorizon' }
  | { readonly kind: 'latest' }
  /** The first record that arrived at or after this time, milliseconds since the epoch. */
  | { readonly kind: 'timestamp'; readonly timestampMs: number }
  /** The first record behind this sequence number. */
  | { readonly kind: 'after'; readonly sequenceNumber: string };
