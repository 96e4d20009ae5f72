import { createHash } from 'node:crypto';

/** Enough of a hash that two resources of one stack do not meet. */
const HASH_LENGTH = 8;

/**
 * The name of a resource that the template leaves unnamed: readable, the same at every start, and another for every
 * logical id. Where the plain form would be too long or has to be in lower case, a hash of the logical id keeps it
 * unique. AWS adds random letters instead.
 */
export function physicalName(
  stackName: string,
  logicalId: string,
  { longest, lowerCase = false }: { readonly longest: number; readonly lowerCase?: boolean },
): string {
  const plain = `${stackName}-${logicalId}`;
  if (!lowerCase && plain.length <= longest) return plain;
  const hash = createHash('sha256').update(plain).digest('hex').slice(0, HASH_LENGTH);
  const start = plain.slice(0, longest - HASH_LENGTH - 1);
  return `${lowerCase ? start.toLowerCase() : start}-${hash}`;
}
