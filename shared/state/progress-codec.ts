import { decodePosition, encodePosition } from '../source/position.ts';
import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import type { LaneTime } from '../time/lane-time.ts';
import type { Row } from './attribute-bytes.ts';
import { CONTROL_KEY } from './row-key.ts';
import type {
  CheckpointLease,
  Control,
  LeftGeneration,
  NewProgress,
  Phase,
  PipelinePhase,
  Progress,
  RewindWork,
} from './state-store.ts';

/**
 * Every attribute of a progress row. None has the name of a key of the index of what is due (`ITEM.dueBucket`,
 * `ITEM.due`, `ITEM.processingDue`) and another type: DynamoDB refuses such a row.
 */
export const PROGRESS = {
  /** S. The partition key. */
  pk: 'pk',
  /** S. The encoded position: its order as text is its order as a position, so that conditions can compare it. */
  position: 'p',
  /** N. Arrival of the record at the position, milliseconds since the epoch. */
  arrivalMs: 't',
  /** S. How far event time has come: the highest, and with a batch interval `/before/interval` behind it. */
  time: 'w',
  /** N. The event time to which the shard was lifted while it was idle, milliseconds since the epoch. */
  lifted: 'd',
  /** N. Records acknowledged. */
  records: 'n',
  /** S. The phase. */
  phase: 'h',
  /** BOOL. Present and true once lanes are by partition key. */
  byPartition: 'l',
  /** S. The encoded position of the last record that was handed in by shard. */
  handedIn: 'q',
  /** S. The encoded position up to which lanes are by shard, where they are by partition key behind it. */
  byShardUntil: 'm',
  /** M. Attempts by encoded first position. */
  attempts: 'a',
  /** M. Turns of single records that began and have not ended: lists of deadlines. */
  suspects: 'u',
  /** BOOL. Present and true once the row is sealed. */
  sealed: 'z',
  /** S. The encoded position at which the first batch began. */
  first: 'f',
  /** N. The rank of its outputs' revisions, where that is not its generation. */
  rank: 'k',
  /** N. The epoch of its outputs; absent for 0. */
  epoch: 'e',
} as const;

/** The row that names the shards of a generation's progress rows. */
export const ROSTER = {
  /** S. The partition key. */
  pk: 'pk',
  /** SS. The shards; absent where there is none. */
  shards: 's',
} as const;

/** Every attribute of the control row. */
export const CONTROL = {
  /** S. The partition key. */
  pk: 'pk',
  /** N. The current generation. */
  generation: 'g',
  /** N. The next one, never used before. */
  nextGeneration: 'x',
  /** S. The phase. */
  phase: 'h',
  /** BOOL. Present and true once lanes are by partition key. */
  byPartition: 'l',
  /** N. The version; absent for 0. */
  version: 'v',
  /** N. The epoch of outputs; absent for 0. */
  epoch: 'e',
  /** N. The rank of outputs' revisions, where that is not the generation. */
  rank: 'r',
  /** S. JSON: who takes a checkpoint. */
  checkpoint: 'k',
  /** S. JSON: the rewind that is under way. */
  rewind: 'w',
  /** S. JSON: generations that were left. */
  left: 'o',
} as const;

/** What a table without a control row begins with. */
export const FIRST_CONTROL: Control = { generation: 1, nextGeneration: 2, phase: 'live' };

export function firstControl(awaitsFork: boolean): Control {
  return awaitsFork ? { ...FIRST_CONTROL, phase: 'awaitsFork' } : FIRST_CONTROL;
}

/** A progress row before the first batch of its generation. */
export function newProgressRow(pk: string, given: NewProgress): Row {
  const { position, arrivalMs, time, liftedMs, first, rank, epoch, handedIn, byShardUntil } = given;
  return {
    [PROGRESS.pk]: { S: pk },
    [PROGRESS.records]: { N: String(given.records ?? 0) },
    [PROGRESS.phase]: { S: given.phase ?? ('live' satisfies Phase) },
    [PROGRESS.attempts]: { M: {} },
    [PROGRESS.suspects]: { M: {} },
    ...(position !== undefined && { [PROGRESS.position]: { S: encodePosition(position) } }),
    ...(arrivalMs !== undefined && { [PROGRESS.arrivalMs]: { N: String(arrivalMs) } }),
    ...(time !== undefined && { [PROGRESS.time]: encodeTime(time) }),
    ...(liftedMs !== undefined && { [PROGRESS.lifted]: { N: String(liftedMs) } }),
    ...(given.isByPartition === true && { [PROGRESS.byPartition]: { BOOL: true } }),
    ...(handedIn !== undefined && { [PROGRESS.handedIn]: { S: encodePosition(handedIn) } }),
    ...(byShardUntil !== undefined && { [PROGRESS.byShardUntil]: { S: encodePosition(byShardUntil) } }),
    ...(first !== undefined && { [PROGRESS.first]: { S: encodePosition(first) } }),
    ...(rank !== undefined && { [PROGRESS.rank]: { N: String(rank) } }),
    ...(epoch !== undefined && { [PROGRESS.epoch]: { N: String(epoch) } }),
  };
}

/** @throws TypeError when the row is not a progress row. */
export function decodeProgress(row: Row): Progress {
  const position = row[PROGRESS.position]?.S;
  const arrivalMs = row[PROGRESS.arrivalMs]?.N;
  const first = row[PROGRESS.first]?.S;
  const handedIn = row[PROGRESS.handedIn]?.S;
  const byShardUntil = row[PROGRESS.byShardUntil]?.S;
  return {
    ...(first !== undefined && { first: decodePosition(first) }),
    ...(row[PROGRESS.rank] !== undefined && { rank: Number(row[PROGRESS.rank]?.N) }),
    ...(row[PROGRESS.epoch] !== undefined && { epoch: Number(row[PROGRESS.epoch]?.N) }),
    ...(position === undefined ? {} : { position: decodePosition(position) }),
    ...(arrivalMs === undefined ? {} : { arrivalMs: Number(arrivalMs) }),
    ...(row[PROGRESS.time] !== undefined && { time: decodeTime(row[PROGRESS.time]) }),
    ...(row[PROGRESS.lifted] !== undefined && { liftedMs: Number(row[PROGRESS.lifted]?.N) }),
    records: Number(row[PROGRESS.records]?.N ?? 0),
    phase: phaseOf(row[PROGRESS.phase], row),
    isByPartition: row[PROGRESS.byPartition]?.BOOL === true,
    ...(handedIn !== undefined && { handedIn: decodePosition(handedIn) }),
    ...(byShardUntil !== undefined && { byShardUntil: decodePosition(byShardUntil) }),
    attempts: countsOf(row[PROGRESS.attempts]),
    suspects: deadlinesOf(row[PROGRESS.suspects]),
  };
}

export function encodeTime({ highestMs, beforeMs, interval }: LaneTime): AttributeValue {
  return { S: interval === undefined ? String(highestMs) : `${highestMs}/${beforeMs ?? ''}/${interval}` };
}

function decodeTime(value: AttributeValue | undefined): LaneTime {
  const [highest = '', before = '', interval] = (value?.S ?? '').split('/');
  return {
    highestMs: Number(highest),
    ...(before !== '' && { beforeMs: Number(before) }),
    ...(interval !== undefined && { interval: Number(interval) }),
  };
}

export function isSealed(row: Row): boolean {
  return row[PROGRESS.sealed]?.BOOL === true;
}

export function encodeControl(control: Control): Row {
  return {
    [CONTROL.pk]: { S: CONTROL_KEY },
    [CONTROL.generation]: { N: String(control.generation) },
    [CONTROL.nextGeneration]: { N: String(control.nextGeneration) },
    [CONTROL.phase]: { S: control.phase },
    ...(control.isByPartition === true && { [CONTROL.byPartition]: { BOOL: true } }),
    ...(control.version !== undefined && { [CONTROL.version]: { N: String(control.version) } }),
    ...(control.epoch !== undefined && { [CONTROL.epoch]: { N: String(control.epoch) } }),
    ...(control.rank !== undefined && { [CONTROL.rank]: { N: String(control.rank) } }),
    ...(control.checkpoint !== undefined && {
      [CONTROL.checkpoint]: { S: JSON.stringify(control.checkpoint) },
    }),
    ...(control.rewind !== undefined && { [CONTROL.rewind]: { S: JSON.stringify(control.rewind) } }),
    ...(control.left !== undefined && { [CONTROL.left]: { S: JSON.stringify(control.left) } }),
  };
}

/** @throws TypeError when the row is not a control row. */
export function decodeControl(row: Row): Control {
  const generation = row[CONTROL.generation]?.N;
  const nextGeneration = row[CONTROL.nextGeneration]?.N;
  const checkpoint = row[CONTROL.checkpoint]?.S;
  const rewind = row[CONTROL.rewind]?.S;
  const left = row[CONTROL.left]?.S;
  if (generation === undefined || nextGeneration === undefined) {
    throw new TypeError(`${JSON.stringify(row)} is not a control row of Tidemark: it names no generations.`);
  }
  return {
    generation: Number(generation),
    nextGeneration: Number(nextGeneration),
    phase: pipelinePhaseOf(row[CONTROL.phase], row),
    ...(row[CONTROL.byPartition]?.BOOL === true && { isByPartition: true }),
    ...(row[CONTROL.version] !== undefined && { version: Number(row[CONTROL.version]?.N) }),
    ...(row[CONTROL.epoch] !== undefined && { epoch: Number(row[CONTROL.epoch]?.N) }),
    ...(row[CONTROL.rank] !== undefined && { rank: Number(row[CONTROL.rank]?.N) }),
    ...(checkpoint !== undefined && { checkpoint: JSON.parse(checkpoint) as CheckpointLease }),
    ...(rewind !== undefined && { rewind: JSON.parse(rewind) as RewindWork }),
    ...(left !== undefined && { left: JSON.parse(left) as readonly LeftGeneration[] }),
  };
}

/** How often, by encoded position; in the order of positions. */
function countsOf(value: AttributeValue | undefined): Map<string, number> {
  const counts = value?.M ?? {};
  return new Map(
    Object.keys(counts)
      .sort()
      .map((name) => [name, Number(counts[name]?.N)]),
  );
}

function deadlinesOf(value: AttributeValue | undefined): Map<string, readonly number[]> {
  const turns = value?.M ?? {};
  return new Map(
    Object.keys(turns)
      .sort()
      .map((turn) => [turn, turnDeadlines(turns[turn])]),
  );
}

/** The deadlines of one turn, milliseconds since the epoch. */
export function turnDeadlines(value: AttributeValue | undefined): number[] {
  return (value?.L ?? []).map(({ N }) => Number(N));
}

function pipelinePhaseOf(value: AttributeValue | undefined, row: Row): PipelinePhase {
  return value?.S === 'awaitsFork' ? value.S : phaseOf(value, row);
}

function phaseOf(value: AttributeValue | undefined, row: Row): Phase {
  const phase = value?.S;
  if (phase === 'live' || phase === 'replay') return phase;
  throw new TypeError(
    `Row ${JSON.stringify(row['pk']?.S)} has the phase ${JSON.stringify(phase)}; it must be "live" or "replay".`,
  );
}

/** More attempts than batches of one shard can be under way at once: Lambda's highest ParallelizationFactor is 10. */
const MAX_ATTEMPTS_KEPT = 16;

/**
 * The attempts to forget, so that those which died and whose batches were then cut otherwise do not fill the row.
 * Position alone cannot tell: with a ParallelizationFactor above 1 the position is a high-water mark, and a batch far
 * below it may be the very one that kills the process. So the least often begun go, the lowest first.
 */
export function attemptsToForget(attempts: ReadonlyMap<string, number>, current: string): string[] {
  const excess = attempts.size - MAX_ATTEMPTS_KEPT;
  if (excess <= 0) return [];
  return [...attempts]
    .filter(([first]) => first !== current)
    .sort(([firstA, countA], [firstB, countB]) => countA - countB || (firstA < firstB ? -1 : 1))
    .slice(0, excess)
    .map(([first]) => first);
}
