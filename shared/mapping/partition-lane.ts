/**
 * Deals a partition key to one of the parallel sub-queues of a shard. AWS does not document its way of dealing; the
 * only promise is that one key always goes the same way, so FNV-1a with a closing mix (against short, similar keys)
 * is as true as any other.
 * @returns an integer from 0 to `lanes - 1`.
 */
export function laneOfPartitionKey(partitionKey: string, lanes: number): number {
  if (lanes === 1) return 0;
  let hash = 0x811c9dc5;
  for (let index = 0; index < partitionKey.length; index++) {
    hash = Math.imul(hash ^ partitionKey.charCodeAt(index), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) % lanes;
}
