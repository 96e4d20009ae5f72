/** @throws TypeError for what is no version of an operator's state. */
export function requireVersion(name: string, version: number): void {
  if (Number.isInteger(version) && version >= 1) return;
  throw new TypeError(`Operator '${name}': version is ${version}; it is a whole number from 1.`);
}
