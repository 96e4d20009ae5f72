import { documentText } from '../../shared/state/document-json.ts';
import type { Document } from '../../shared/state/document.ts';

/** Fields that are left out of a comparison, each as the path to it: `['window', 'start']`. */
export type IgnoredFields = readonly (readonly string[])[];

/** A value as text that equal values have in common, in whatever order their fields came. */
export function comparableText(value: Document, ignored: IgnoredFields = []): string {
  return documentText(ordered(value, ignored));
}

function ordered(value: Document, ignored: IgnoredFields): Document {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  if (isList(value)) return value.map((each) => ordered(each, ignored));
  const left = new Set(ignored.filter(({ length }) => length === 1).map(([name]) => name));
  const names = Object.keys(value)
    .filter((name) => !left.has(name))
    .sort();
  // Not assignment: a name may be `__proto__`.
  return Object.fromEntries(
    names.map((name) => [
      name,
      ordered(
        value[name] as Document,
        ignored
          .filter(([first, second]) => first === name && second !== undefined)
          .map((path) => path.slice(1)),
      ),
    ]),
  );
}

/** `Array.isArray` does not narrow readonly arrays. */
function isList(document: object): document is readonly Document[] {
  return Array.isArray(document);
}
