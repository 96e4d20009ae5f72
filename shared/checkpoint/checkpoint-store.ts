import type { Manifest } from './manifest.ts';

/** Where the checkpoints of a pipeline lie in the bucket: each in a folder of its id. */
export function checkpointPrefix(pipeline: string): string {
  return `checkpoints/${pipeline}/`;
}

/** In a checkpoint's folder: what makes it one. */
export const MANIFEST_NAME = 'manifest.json';
/** How far its taking is, until the manifest is there. */
export const WORK_NAME = 'work.json';
/** A checkpoint that was removed, and parts of which others may count on. */
export const REMOVED_NAME = 'removed.json';
/** Until when somebody reads the checkpoint. */
export const HOLD_NAME = 'hold.json';

const PART_END = '.ndjson.gz';

/** A part's name in its checkpoint's folder. @param owner who writes it, as no other is called. */
export function partName(segment: number, number: number, owner: string): string {
  return `${segment}-${number}-${owner}${PART_END}`;
}

/** What lies beside a part: the hashes of its lines. */
export function hashesName(part: string): string {
  return part.replace(PART_END, '.hashes');
}

/** Where it stands which lines of other checkpoints a segment has found again. */
export function keptName(segment: number, number: number, owner: string): string {
  return `${segment}-${number}-${owner}.kept.gz`;
}

/** How far the taking of a checkpoint is, as text, with what tells this version of it from others. */
export interface KeptWork {
  readonly text: string;
  readonly version: string;
}

/**
 * The checkpoints of one pipeline. What a put has confirmed is read and listed by whoever asks afterwards. One contract
 * suite runs on every version of it.
 */
export interface CheckpointStore {
  /** Writes a part; it takes the place of one of the same name. @throws when the outcome is unknown. */
  putPart(id: string, name: string, packed: Uint8Array): Promise<void>;

  /** @returns a part's bytes, unchecked; `undefined` where there is none. `partLines` checks them. */
  getPart(id: string, name: string): Promise<Uint8Array | undefined>;

  /**
   * Writes the manifest where there is none, which makes the checkpoint exist.
   * @returns `exists` where there is one: somebody else's, or that of this call's own first try.
   * @throws when the outcome is unknown.
   */
  putManifest(manifest: Manifest): Promise<'stored' | 'exists'>;

  /**
   * @returns `undefined` where there is none.
   * @throws CheckpointError where it cannot be read, or is of a later form.
   */
  getManifest(id: string): Promise<Manifest | undefined>;

  /**
   * Writes how far the taking is, where nobody else has written since.
   * @param before the version it goes on from; `undefined` where there must be none yet.
   * @returns the new version; `undefined` where somebody else wrote it.
   * @throws when the outcome is unknown.
   */
  putWork(id: string, text: string, before: string | undefined): Promise<string | undefined>;

  getWork(id: string): Promise<KeptWork | undefined>;

  removeWork(id: string): Promise<void>;

  /**
   * Says that somebody reads the checkpoint: retention leaves it alone until then. Another hold takes its place.
   * @param untilMs milliseconds since the epoch.
   */
  putHold(id: string, untilMs: number): Promise<void>;

  /** @returns until when it is held, milliseconds since the epoch; `undefined` where it was never. */
  getHold(id: string): Promise<number | undefined>;

  /** Every folder, the oldest first: checkpoints, what is being taken, and what is left over. */
  folders(): Promise<string[]>;

  /** Whether a folder is a checkpoint. */
  hasManifest(id: string): Promise<boolean>;

  /**
   * Notes that a checkpoint is removed, and then removes its manifest: it exists no more, and its parts stay. What is
   * not there is no error.
   */
  hide(id: string): Promise<void>;

  /** Whether a folder was hidden. */
  isHidden(id: string): Promise<boolean>;

  /**
   * Removes a checkpoint, or what is left of one: the manifest first, so that it does not exist while parts of it are
   * gone. What is not there is no error.
   */
  remove(id: string): Promise<void>;
}
