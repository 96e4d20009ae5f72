import type { Row } from '../pipeline/definition.ts';

/** Tables that are not the pipeline's own. */
export interface LookupPort {
  /**
   * @param table its logical name.
   * @param keys each once.
   * @returns the rows that there are, by their key.
   * @throws where some stay unread.
   */
  get(table: string, partitionKey: string, keys: readonly string[]): Promise<ReadonlyMap<string, Row>>;

  /**
   * All rows.
   * @param maximumBytes how much they may be, as DynamoDB counts.
   * @throws where they are more, or not all can be read.
   */
  all(table: string, partitionKey: string, maximumBytes: number): Promise<ReadonlyMap<string, Row>>;
}
