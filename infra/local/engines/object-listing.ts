export interface ListingOptions {
  readonly prefix?: string;
  readonly delimiter?: string;
  readonly maxKeys?: number;
  readonly startAfter?: string;
  readonly marker?: string;
}

export interface Listing<Item> {
  readonly objects: Item[];
  readonly commonPrefixes: string[];
  readonly isTruncated: boolean;
}

/** S3's limit for a page. */
const LARGEST_PAGE = 1_000;

function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/**
 * One page of a bucket in the order of the keys' UTF-8 bytes, which is S3's order; that of a locale (upper and lower
 * case side by side) or of UTF-16 would be another.
 */
export function listPage<Item extends { readonly key: string }>(
  items: Iterable<Item>,
  options: ListingOptions,
): Listing<Item> {
  const prefix = options.prefix ?? '';
  const after = options.startAfter || options.marker || '';
  const maxKeys = Math.min(options.maxKeys ?? LARGEST_PAGE, LARGEST_PAGE);
  const sorted = [...items]
    .filter(({ key }) => key.startsWith(prefix))
    .sort((a, b) => compareBytes(a.key, b.key));

  const objects: Item[] = [];
  const commonPrefixes = new Set<string>();
  for (const item of sorted) {
    if (after !== '' && compareBytes(item.key, after) <= 0) continue;
    const delimiterAt = options.delimiter ? item.key.indexOf(options.delimiter, prefix.length) : -1;
    const group =
      delimiterAt < 0 ? undefined : item.key.slice(0, delimiterAt + (options.delimiter?.length ?? 0));
    if (
      group !== undefined &&
      (commonPrefixes.has(group) || (after !== '' && compareBytes(group, after) <= 0))
    ) {
      continue;
    }
    if (objects.length + commonPrefixes.size >= maxKeys) {
      return { objects, commonPrefixes: [...commonPrefixes], isTruncated: true };
    }
    if (group === undefined) objects.push(item);
    else commonPrefixes.add(group);
  }
  return { objects, commonPrefixes: [...commonPrefixes], isTruncated: false };
}
