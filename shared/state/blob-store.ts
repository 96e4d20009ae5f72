/** An object as a listing tells of it. */
export interface ListedBlob {
  readonly name: string;
  /** When it was last written, milliseconds since the epoch, by the clock of whoever keeps it. */
  readonly modifiedMs: number;
}

export interface BlobPage {
  /** In the order of the UTF-8 bytes of their names. */
  readonly blobs: readonly ListedBlob[];
  /** Whether nothing comes after them. */
  readonly isLast: boolean;
}

/**
 * Whole objects by name, read consistently: what a put has confirmed is read and listed by whoever asks afterwards. One
 * contract suite runs on every version of it.
 */
export interface BlobStore {
  /** Writes an object; it takes the place of one of the same name. @throws when the outcome is unknown. */
  put(name: string, bytes: Uint8Array): Promise<void>;

  /**
   * @param firstBytes so many from the beginning are enough.
   * @returns the object's bytes; `undefined` where there is none.
   */
  get(name: string, firstBytes?: number): Promise<Uint8Array | undefined>;

  /** Removes an object; one that is not there is no error. */
  remove(name: string): Promise<void>;

  /** A page of what stands after the name `after` in the order of names. */
  list(after: string): Promise<BlobPage>;
}
