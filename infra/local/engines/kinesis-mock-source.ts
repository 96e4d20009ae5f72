/** The version of `kinesis-local` whose text is known. */
export const KNOWN_KINESIS_LOCAL_VERSION = '0.6.2';

/**
 * The hash of a sequence, in kinesis-mock's compiled Scala. PutRecords groups its records by (shard, all records that
 * the shard holds) and so hashes that whole vector once per record: it is this function that makes it quadratic.
 */
const SEQUENCE_HASH = `$p.GE = (function(xs) {
  return ($is_sc_IndexedSeq(xs) ? this.bxg(xs, this.hY) : ((xs instanceof $c_sci_List) ? this.bz7(xs, this.hY) : this.bCh(xs, this.hY)));
});`;

/**
 * The same for short sequences; a long Scala `Vector` is hashed by its length and its ends. Equal vectors still have
 * equal hashes, which is what a hash owes, and only vectors of records that long are keys of a map here. A hash of
 * all records, even if it is remembered, would be computed anew in each request, since each request makes new vectors.
 */
const SAMPLED_SEQUENCE_HASH = `$p.GE = (function(xs) {
  if ((xs instanceof $c_sci_Vector) && xs.y() > 32) {
    var hash = this.l(this.hY, $m_sr_Statics$().E(xs.R(0)));
    return this.Z(this.l(hash, $m_sr_Statics$().E(xs.R(xs.y() - 1))), xs.y());
  }
  return ($is_sc_IndexedSeq(xs) ? this.bxg(xs, this.hY) : ((xs instanceof $c_sci_List) ? this.bz7(xs, this.hY) : this.bCh(xs, this.hY)));
});`;

export interface PreparedSource {
  readonly source: string;
  /** False when the text that makes PutRecords fast was not found, and the source is as it was. */
  readonly isPutRecordsFast: boolean;
}

/**
 * Makes the time that kinesis-mock's PutRecords takes independent of what is stored. Behaviour stays the same; only a
 * hash is of less. The text must
 * stand in the source exactly once, otherwise nothing is changed.
 */
export function prepareKinesisMock(source: string): PreparedSource {
  const at = source.indexOf(SEQUENCE_HASH);
  if (at < 0 || source.includes(SEQUENCE_HASH, at + 1)) return { source, isPutRecordsFast: false };
  return {
    source: source.slice(0, at) + SAMPLED_SEQUENCE_HASH + source.slice(at + SEQUENCE_HASH.length),
    isPutRecordsFast: true,
  };
}
