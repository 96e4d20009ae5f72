/**
 * Whether some object can be reached from two of the values, so that what is done to one may be seen in another.
 * Where that cannot be told (functions, private fields, accessors that throw) the answer is yes. What is frozen
 * cannot be changed and may be shared.
 */
export function haveSharedObjects(values: readonly unknown[]): boolean {
  if (values.every((value) => typeof value !== 'object' && typeof value !== 'function')) return false;
  try {
    return findsShared(values);
  } catch {
    return true;
  }
}

function findsShared(values: readonly unknown[]): boolean {
  const owners = new Map<object, number>();
  const open: unknown[] = [];
  for (const [owner, root] of values.entries()) {
    open.push(root);
    while (open.length > 0) {
      const value = open.pop();
      if (typeof value === 'function') return true;
      if (typeof value !== 'object' || value === null) continue;
      const known = owners.get(value);
      if (known === owner) continue;
      if (known !== undefined && !Object.isFrozen(value)) return true;
      owners.set(value, owner);
      if (!pushParts(value, open)) return true;
    }
  }
  return false;
}

/** Adds what the object holds. @returns whether all of it can be seen from outside. */
function pushParts(value: object, open: unknown[]): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === Array.prototype || prototype === null) {
    for (const part of Object.values(value)) open.push(part);
    return Object.getOwnPropertySymbols(value).length === 0;
  }
  if (value instanceof Map) {
    for (const [key, part] of value) open.push(key, part);
  } else if (value instanceof Set) {
    for (const part of value) open.push(part);
  } else if (ArrayBuffer.isView(value)) {
    open.push(value.buffer);
  } else {
    return value instanceof Date || value instanceof ArrayBuffer;
  }
  return true;
}
