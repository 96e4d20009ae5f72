/**
 * Revisions of one generation lie above those of every earlier one, whatever their keys were written, so that what a
 * rewind publishes again is newer than what the abandoned generation had published. A generation's revisions are times in
 * milliseconds, or little more, and this is some 139 years of them.
 */
const GENERATION_SPAN = 2 ** 42;

/** The highest generation whose revisions are still whole numbers in JavaScript: 2,048. */
export const MAX_GENERATION = 2 ** 53 / GENERATION_SPAN;

/** The first revision of an item that is made at a time, milliseconds since the epoch. */
export function firstRevision(generation: number, timeMs: number): number {
  return (generation - 1) * GENERATION_SPAN + Math.max(1, Math.floor(timeMs));
}

/** The revision that an item, or what it committed, has where its generation is restored as another. */
export function carriedRevision(revision: number, from: number, to: number): number {
  return revision + (to - from) * GENERATION_SPAN;
}
