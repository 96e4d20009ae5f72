/** Something that happens at a virtual moment. */
interface Happening {
  readonly atMs: number;
  /** Of two at one moment, what was planned first comes first. */
  readonly order: number;
  readonly happen: () => void;
}

/** Time that passes only from one planned happening to the next: a binary heap and a number. */
export class VirtualTime {
  #nowMs: number;
  #planned = 0;
  readonly #heap: Happening[] = [];

  /** @param startMs milliseconds since the epoch. */
  constructor(startMs: number) {
    this.#nowMs = startMs;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  get isEmpty(): boolean {
    return this.#heap.length === 0;
  }

  /** @param atMs a moment in the past is now. */
  at(atMs: number, happen: () => void): void {
    const heap = this.#heap;
    const happening = { atMs: Math.max(atMs, this.#nowMs), order: this.#planned++, happen };
    let place = heap.length;
    heap.push(happening);
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (isBefore(heap[parent] as Happening, happening)) break;
      heap[place] = heap[parent] as Happening;
      place = parent;
    }
    heap[place] = happening;
  }

  after(delayMs: number, happen: () => void): void {
    this.at(this.#nowMs + delayMs, happen);
  }

  /** Lets time pass in which nothing happens: what was planned for it happens late. */
  pass(durationMs: number): void {
    this.#nowMs += durationMs;
  }

  /** Lets the next happening happen. @returns whether there was one. */
  step(): boolean {
    const heap = this.#heap;
    const first = heap[0];
    if (first === undefined) return false;
    const last = heap.pop() as Happening;
    if (heap.length > 0) this.#sink(last);
    this.#nowMs = Math.max(this.#nowMs, first.atMs);
    first.happen();
    return true;
  }

  #sink(happening: Happening): void {
    const heap = this.#heap;
    let place = 0;
    for (;;) {
      let child = place * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Happening, heap[child] as Happening))
        child++;
      if (isBefore(happening, heap[child] as Happening)) break;
      heap[place] = heap[child] as Happening;
      place = child;
    }
    heap[place] = happening;
  }
}

function isBefore(a: Happening, b: Happening): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
