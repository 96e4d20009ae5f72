/** A world that did not come to rest, or in which an invariant was broken: the case has failed. */
export class BrokenRun extends Error {
  override readonly name = 'BrokenRun';
}
