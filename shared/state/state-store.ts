import type { TimeDomain } from '../pipeline/definition.ts';
import type { Position } from '../source/position.ts';
import type { LaneTime } from '../time/lane-time.ts';
import type { StateItem } from './state-item.ts';

/** `live`: the mapping's events are processed. `replay`: only those of a rewind are. */
export type Phase = 'live' | 'replay';

/** Of a pipeline: `awaitsFork` in one that is to go on from another's checkpoint, and processes nothing before. */
export type PipelinePhase = Phase | 'awaitsFork';

/** Row `c`: which generation is current. */
export interface Control {
  readonly generation: number;
  /** The next one; never used twice. */
  readonly nextGeneration: number;
  readonly phase: PipelinePhase;
  /**
   * Present once a function whose mapping has a ParallelizationFactor above 1 has begun to work: from then on every
   * shard's lanes are by partition key, also of shards that nobody has read yet. Function and mapping are not changed
   * in the same moment, and a shard that is opened while the factor is lowered must know.
   */
  readonly isByPartition?: true;
  /** One up at every `GenerationStore.replaceControl`, the condition of the next; 0 where there was none. */
  readonly version?: number;
  /**
   * A part of the lineage of outputs since they were made anew (`--outputs again`): the generation with which that was
   * done, so that none is used twice.
   */
  readonly epoch?: number;
  /**
   * The generation as which revisions are published, where it is not the current one: a rewind was undone that had
   * published, and whoever keeps the highest revision must take what comes now for newer than that.
   */
  readonly rank?: number;
  /** The checkpoint that is being taken. */
  readonly checkpoint?: CheckpointLease;
  /** The rewind that has begun and neither ended nor been undone. */
  readonly rewind?: RewindWork;
  /** Generations that were left and of which something is still there; none of them is ever used again. */
  readonly left?: readonly LeftGeneration[];
}

export interface LeftGeneration {
  readonly generation: number;
  /** When the rewind ended that left it, or that made it and was undone, milliseconds since the epoch. */
  readonly atMs: number;
  /** Its rows and its spilled states are removed; its dead letters are kept for checkpoints of it. */
  readonly hasNoRows?: true;
}

/** Who takes a checkpoint now. */
export interface CheckpointLease {
  /** Of the checkpoint. */
  readonly id: string;
  /** Until then nobody else goes on with it, milliseconds since the epoch: when Lambda ends the process that does. */
  readonly untilMs: number;
  /** From then on it can become no checkpoint any more, whoever is still at it; milliseconds since the epoch. */
  readonly overMs: number;
}

/**
 * What becomes of the outputs of a replay. `same`: they are published again under their ids. `again`: in a lineage of
 * their own, so that the next pipeline counts them anew. `suppress`: they are not published.
 */
export type ReplayOutputs = 'same' | 'again' | 'suppress';

/**
 * How far a rewind is, each step begun when the one before is done. `seal`: the old generation's shards are sealed.
 * `restore`: the checkpoint's items are written into the new one, and verified. `replay`: the new one is current, and
 * the records from the checkpoint to the seals are processed again. `release`: its shards are opened to live events,
 * which cannot be taken back, and in phase `live` only the mapping is left to be enabled. `undo`: the old generation is
 * current again and its shards are unsealed; in phase `live` likewise.
 */
export type RewindStep = 'seal' | 'restore' | 'replay' | 'release' | 'undo';

export interface RewindWork {
  readonly id: string;
  /** Who drives it: no two drivers are called the same. */
  readonly holder: string;
  readonly checkpoint: string;
  /** The generation that is left. */
  readonly from: number;
  /** The generation that is made. */
  readonly to: number;
  readonly step: RewindStep;
  readonly outputs: ReplayOutputs;
  /** Milliseconds since the epoch. */
  readonly startedMs: number;
  /** Ids of the event source mappings that were enabled when it began: no other is enabled at its end. */
  readonly mappings?: readonly string[];
  /** Epoch of the generation that is left; absent for 0. */
  readonly epochBefore?: number;
  /** Records that the stream holds no more are left out. */
  readonly allowsGap?: true;
  /** The state goes back, and the stream goes on from where it is. */
  readonly skipsReplay?: true;
  /** The pipeline awaited its fork when it began: it does so again where it is undone. */
  readonly awaitedFork?: true;
}

/** Per shard and generation: how far the shard has come, and what is known of attempts that died. */
export interface Progress {
  /** Where the first batch that was ever handed in of the shard began. */
  readonly first?: Position;
  /** See `Control.rank`. */
  readonly rank?: number;
  /** See `Control.epoch`. */
  readonly epoch?: number;
  /** Everything at or below it is committed, published and acknowledged (I5); absent before the first batch. */
  readonly position?: Position;
  /** Arrival of the record at `position`, milliseconds since the epoch. */
  readonly arrivalMs?: number;
  /** How far event time has come at `position`; absent in a pipeline without a time. */
  readonly time?: LaneTime;
  /** The event time to which the shard was lifted while it was idle, milliseconds since the epoch. */
  readonly liftedMs?: number;
  /** Records acknowledged so far, as the batches told: a figure for people, not a promise. */
  readonly records: number;
  readonly phase: Phase;
  /**
   * Whether the shard was ever read with a ParallelizationFactor above 1. Its lanes are by partition key from then on:
   * function and mapping are not changed in the same moment, and marks of the whole shard would then cover records of
   * other lanes. The position is a high-water mark and proves nothing of what lies below.
   */
  readonly isByPartition: boolean;
  /** The last record that was ever handed in while lanes were by shard: up to there some may be applied by shard. */
  readonly handedIn?: Position;
  /**
   * Where lanes became by partition key while the shard was read: what is at or below it was applied by shard, is done,
   * and keeps its lane wherever it is processed again. Absent where lanes are by partition key from the beginning.
   */
  readonly byShardUntil?: Position;
  /** By encoded first position of a batch: attempts that began and have not ended in order. */
  readonly attempts: ReadonlyMap<string, number>;
  /**
   * By turn, while records are taken one at a time: of each time that it began and has not ended, when Lambda ends the
   * process that began it, milliseconds since the epoch. A turn is a text of the engine's that names record and stage.
   */
  readonly suspects: ReadonlyMap<string, readonly number[]>;
}

/** What a progress row may begin with; nothing, in phase `live`, unless given. */
export type NewProgress = Partial<
  Pick<
    Progress,
    | 'first'
    | 'rank'
    | 'epoch'
    | 'position'
    | 'arrivalMs'
    | 'time'
    | 'liftedMs'
    | 'records'
    | 'phase'
    | 'isByPartition'
    | 'handedIn'
    | 'byShardUntil'
  >
>;

export type BeginResult =
  | { readonly kind: 'open'; readonly progress: Progress }
  | { readonly kind: 'sealed' }
  | { readonly kind: 'missing' };

export interface ItemWrite {
  readonly item: StateItem;
  /** The revision that was loaded; `undefined` where there was no item. */
  readonly expectedRevision: number | undefined;
  /**
   * The item that was loaded, for counting: a write costs the larger of the item before and after, and not every
   * engine says what it consumed. Without it only the new item is counted there.
   */
  readonly loaded?: StateItem | undefined;
  /** Whether the states are too large for the item and go elsewhere: the writer measures them (I10). */
  readonly spills: boolean;
}

/** How much of spilled states one load may bring into memory. */
export interface LoadRoom {
  /** Of their text; an item beyond it is given without its states, as `spilled`. */
  readonly bytes: number;
  /** So many of the first keys are given with their states in any case. */
  readonly atLeast: number;
}

/**
 * - `committed`: the write is confirmed.
 * - `conflict`: the condition did not hold. That does not tell who won (our own retry may have): read again.
 * - `failed`: throttled or in doubt; read again before anything is built on it.
 */
export type CommitResult = 'committed' | 'conflict' | 'failed';

export interface Advance {
  /** Encoded-by-value first position of the batch that Lambda handed in: its attempt has ended in order. */
  readonly first: Position;
  /** The new position, when at least one record was done. A lower one than the row's changes nothing (I2). */
  readonly position?: Position;
  readonly arrivalMs?: number;
  /** How far event time has come at the new position. */
  readonly time?: LaneTime;
  /** Records done in this batch. */
  readonly records: number;
  /** Turns that ended in order. */
  readonly endedTurns: readonly string[];
}

/**
 * Requests and capacity units that a store has used since it was made: exact counts, never estimates of time.
 * A write whose condition fails is counted and billed like one that succeeds; one that was throttled is not.
 */
export interface StoreCosts {
  /** Rows whose write was decided, by success or by a failed condition. */
  readonly writes: number;
  readonly writeRequests: number;
  /** Rows that were read, those that were missing included. */
  readonly reads: number;
  readonly readRequests: number;
  readonly wcu: number;
  readonly rcu: number;
  /** Objects with spilled states: written, asked for, removed. */
  readonly blobPuts: number;
  readonly blobGets: number;
  readonly blobRemovals: number;
}

/** Where keyed state, marks, outboxes and progress live. One contract suite runs on every version of it. */
export interface StateStore {
  /**
   * Reads consistently, whatever the number of keys; a missing item has no entry.
   * @param room for spilled states, where there is not enough for all.
   * @throws when reading fails, and RangeError for a key that DynamoDB cannot take (`rowKeyProblem` tells beforehand).
   */
  load(pks: readonly string[], room?: LoadRoom): Promise<Map<string, StateItem>>;

  /**
   * Writes each item under its own condition, at most one write per key.
   * Results are in the order of the writes. Never throws for one write's failure: the whole request's failure makes
   * each of its writes `failed`.
   * @throws for what no retry can mend: an item above DynamoDB's limit (before anything is written), a key that it
   * cannot take, two writes of one key, or a refused request (no permission, no such table, invalid).
   */
  commit(writes: readonly ItemWrite[]): Promise<CommitResult[]>;

  /**
   * The control row; made with generation 1 where there is none, in phase `live`, or `awaitsFork` where the store was
   * told so when it was made.
   * @param isByPartition whether the mapping's ParallelizationFactor is above 1; noted for good before it answers.
   */
  readControl(isByPartition?: boolean): Promise<Control>;

  /**
   * Counts one attempt at the batch that begins at `first` and gives the row: one write, no read; two where a batch
   * that went further was handed in before. A sealed row is not touched.
   * @param handedIn the batch's last record, where its lane is the shard; noted where it is the highest so far.
   */
  beginAttempt(generation: number, shard: string, first: Position, handedIn?: Position): Promise<BeginResult>;

  /**
   * From here on the shard's lanes are by partition key, for good.
   * @param handedIn what the row says of it: where it says something else, or is sealed, nothing is changed.
   * @param byShardUntil see `Progress`.
   */
  partLanes(
    generation: number,
    shard: string,
    handedIn: Position | undefined,
    byShardUntil: Position | undefined,
  ): Promise<boolean>;

  /**
   * Makes the shard's progress row, in a transaction that checks that the control row still has this generation and
   * phase `live`: else a shard that appears while a rewind seals would be acknowledged in a dead generation. The shard is
   * named in the generation's roster with it, so that a rewind finds every row that it has to seal.
   * @param given its rank is the control row's, or it is refused.
   */
  createProgress(
    generation: number,
    shard: string,
    given?: NewProgress,
  ): Promise<'created' | 'exists' | 'refused'>;

  /** The shard's progress row, read consistently; `undefined` where there is none. */
  readProgress(generation: number, shard: string): Promise<Progress | undefined>;

  /**
   * Notes that a turn begins, in a process that Lambda ends at `deadlineMs`.
   * @param ended the turn before it, which ended in order: it is cleared in the same write, so that the row does not
   * grow by every record of a batch.
   * @returns the deadlines of all times that the turn began and has not ended, this one last; `sealed` where the row is
   * sealed, or gone.
   */
  suspect(
    generation: number,
    shard: string,
    turn: string,
    deadlineMs: number,
    ended?: string,
  ): Promise<readonly number[] | 'sealed'>;

  /**
   * Under the condition that the row is not sealed; a row that is gone, its generation cleaned up, counts as sealed.
   * @throws when the outcome is unknown.
   */
  advance(generation: number, shard: string, advance: Advance): Promise<'advanced' | 'sealed'>;

  /**
   * Lifts an idle shard's event time; never lowers it.
   * @param position at which it is known to be idle: where the shard has moved on, or is sealed, nothing is changed.
   */
  liftTime(
    generation: number,
    shard: string,
    position: Position | undefined,
    liftedMs: number,
  ): Promise<boolean>;

  /**
   * Keys of items whose `dueMs` is at or below a time, page by page, in each part of the index the earliest first. What
   * was written a moment ago may be missing.
   * @param domain of processing time: those whose `processingDueMs` is.
   * @throws when reading fails.
   */
  due(generation: number, upToMs: number, domain?: TimeDomain): AsyncIterable<readonly string[]>;

  costs(): StoreCosts;
}
