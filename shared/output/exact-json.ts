import { RecordError } from '../source/record-error.ts';

/** Deeper values would end the process in the middle of being written or read. */
const DEEPEST = 200;

/**
 * A value as JSON text that gives the same value back: plain objects, arrays, strings, finite numbers, booleans and null.
 * Properties that are `undefined` are left out, as JSON does.
 * @throws RecordError with the path of what JSON would turn into something else.
 */
export function exactJson(value: unknown, what: string): string {
  requireExact(value, 'value', 0, what);
  return JSON.stringify(value);
}

function requireExact(value: unknown, path: string, depth: number, what: string): void {
  const refuse = (kind: string): never => {
    throw new RecordError(
      'output',
      `${what}: ${path} is ${kind}, which JSON does not give back as it was; map it to text or numbers before`,
    );
  };
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return;
    case 'number':
      if (!Number.isFinite(value)) refuse('no finite number');
      return;
    case 'object':
      break;
    default:
      refuse(`of type ${typeof value}`);
  }
  if (value === null) return;
  if (depth === DEEPEST) refuse(`nested deeper than ${DEEPEST}`);
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      requireExact(value[index], `${path}[${index}]`, depth + 1, what);
    }
    return;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) refuse('no plain object');
  if (typeof (value as { toJSON?: unknown }).toJSON === 'function')
    refuse('an object with a toJSON of its own');
  for (const [name, inner] of Object.entries(value as object)) {
    if (inner !== undefined) requireExact(inner, `${path}.${name}`, depth + 1, what);
  }
}
