/** Room for so many bytes: who wants some waits until it is free, in the order of asking. */
export class ByteRoom {
  readonly #size: number;
  readonly #waiting: { readonly bytes: number; readonly enter: () => void }[] = [];
  #free: number;

  constructor(size: number) {
    this.#size = size;
    this.#free = size;
  }

  /** Runs while `bytes` of the room are taken; what is larger than the room takes all of it. */
  async during<T>(bytes: number, run: () => Promise<T>): Promise<T> {
    const taken = Math.min(bytes, this.#size);
    if (this.#waiting.length > 0 || taken > this.#free) {
      await new Promise<void>((enter) => this.#waiting.push({ bytes: taken, enter }));
    } else {
      this.#free -= taken;
    }
    try {
      return await run();
    } finally {
      this.#free += taken;
      this.#admit();
    }
  }

  #admit(): void {
    for (let first = this.#waiting[0]; first !== undefined && first.bytes <= this.#free;) {
      this.#waiting.shift();
      this.#free -= first.bytes;
      first.enter();
      first = this.#waiting[0];
    }
  }
}
