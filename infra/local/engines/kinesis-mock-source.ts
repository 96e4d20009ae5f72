/** The version of `kinesis-local` whose text is known. */
export const KNOWN_KINESIS_LOCAL_VERSION = '0.6.2';

/**
 * The hash of a sequence, in kinesis-mock's compiled Scala. PutRecords groups its records by (shard, all records that
 * the shard holds) and so hashes that whole vector once per record: it is this function that makes it quadratic.
 */
const SEQUENCE_HASH = `$p.GE = (function(xs) {
  return ($is_sc_IndexedSeq(xs) ? this.bxg(xs, this.hY) : ((xs instanceof $c_sci_List) ? this.bz7(xs, this.hY) : this.bCh(xs, this.hY)));
});`;

/** The same, remembering the hash of each vector: a Scala `Vector` never changes, so its hash does not either. */
const REMEMBERED_SEQUENCE_HASH = `var tidemarkVectorHashes = new WeakMap();
$p.GE = (function(xs) {
  if (!(xs instanceof $c_sci_Vector)) {
    return ($is_sc_IndexedSeq(xs) ? this.bxg(xs, this.hY) : ((xs instanceof $c_sci_List) ? this.bz7(xs, this.hY) : this.bCh(xs, this.hY)));
  }
  var hash = tidemarkVectorHashes.get(xs);
  if (hash === undefined) {
    hash = this.bxg(xs, this.hY);
    tidemarkVectorHashes.set(xs, hash);
  }
  return hash;
});`;

export interface PreparedSource {
  readonly source: string;
  /** False when the text that makes PutRecords fast was not found, and the source is as it was. */
  readonly isPutRecordsFast: boolean;
}

/**
 * Makes kinesis-mock's PutRecords linear. Behaviour stays the same; only a hash is not computed twice. The text must
 * stand in the source exactly once, otherwise nothing is changed.
 */
export function prepareKinesisMock(source: string): PreparedSource {
  const at = source.indexOf(SEQUENCE_HASH);
  if (at < 0 || source.includes(SEQUENCE_HASH, at + 1)) return { source, isPutRecordsFast: false };
  return {
    source: source.slice(0, at) + REMEMBERED_SEQUENCE_HASH + source.slice(at + SEQUENCE_HASH.length),
    isPutRecordsFast: true,
  };
}
