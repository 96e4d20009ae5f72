/** Names become parts of keys, ids, environment variables and AWS resource names; this is what all of them take. */
const NAME_PATTERN = /^[a-zA-Z][a-zA-Z0-9_-]{0,62}$/;

/** @throws TypeError when the name cannot be used. */
export function requireName(what: string, name: string): void {
  if (typeof name !== 'string' || !NAME_PATTERN.test(name)) {
    throw new TypeError(
      `The ${what} name ${JSON.stringify(name)} cannot be used: a name begins with a letter and has at most 63 ` +
        'letters, digits, hyphens and underscores.',
    );
  }
}
