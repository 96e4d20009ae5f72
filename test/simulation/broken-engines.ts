import type { SourceChange } from './simulation-bundle.ts';

/** An engine with one rule switched off: the simulation must notice. */
export interface BrokenEngine {
  /** What it does, as a sentence. */
  readonly name: string;
  readonly changes: readonly SourceChange[];
  /** Within how many seeds from 1 on it must be caught. */
  readonly within: number;
}

const FOLD = 'shared/engine/fold.ts';
const COMMIT = 'shared/engine/commit.ts';
const PUBLISH = 'shared/engine/publish-committed.ts';
const BATCH = 'shared/engine/process-batch.ts';
const PART_LANES = 'shared/engine/part-lanes.ts';
const OUTBOX = 'shared/engine/outbox-draft.ts';
const DRAFT = 'shared/engine/item-draft.ts';
const MEMORY = 'shared/state/memory-state-store.ts';
const REDRIVE = 'shared/engine/letter-work.ts';
const REDRIVE_ALL = 'shared/engine/redrive.ts';
const LETTER_RESULTS = 'shared/engine/letter-results.ts';
const LEAVE_OUT = 'shared/engine/leave-out-rejected.ts';
const SPILLING = 'shared/state/spilling-state-store.ts';
const FIRE = 'shared/engine/fire-due.ts';
const SWEEP = 'shared/engine/sweep-timers.ts';
const LANES = 'shared/engine/lane-times.ts';
const TIME_WORLD = 'test/simulation/drawn-time.ts';
const WORLD = 'test/simulation/drawn-world.ts';
const REWIND = 'shared/checkpoint/rewind.ts';
const OBJECTIONS = 'shared/checkpoint/rewind-objections.ts';
const ROWS = 'shared/checkpoint/rewound-rows.ts';
const RESTORE = 'shared/checkpoint/restore.ts';
const TAKE = 'shared/checkpoint/take-checkpoint.ts';
const FORK = 'shared/checkpoint/fork.ts';
const LINE = 'shared/checkpoint/checkpoint-line.ts';
const SCAN = 'shared/checkpoint/scan-segments.ts';
const UNNEEDED = 'shared/checkpoint/remove-unneeded.ts';
const SAME_OF_ANY =
  'const items = this.#shards.get(shard)?.items; const own = items?.get(pk)?.item; if (own !== undefined) return own; ' +
  "for (const [other, { item }] of items ?? []) if (other.slice(other.indexOf('/')) === pk.slice(pk.indexOf('/'))) return item; " +
  'return undefined;';

/** Worlds in which a rare rule is met more often. */
const FOCUS = {
  sessions: [WORLD, 'const workload = upTo(WORKLOADS.length - 1);', 'const workload = 2 + 0 * upTo(1);'],
  writes: [
    'shared/testing/simulator/drawn-faults.ts',
    'faults.refusedDelivery = 12;',
    'faults.refusedDelivery = 12;\n  faults.refusedWrite = 8;',
  ],
  loweredFactor: [
    WORLD,
    'const parallelizationFactor = chance(0.2) ? 2 + upTo(1) : 1;',
    'const parallelizationFactor = 2 + upTo(1);',
  ],
  forks: [WORLD, 'const FORK_SHARE = 0.1;', 'const FORK_SHARE = 1;'],
  replaces: [WORLD, 'const replaces = random() < 0.3;', 'const replaces = random() < 1;'],
  rewinds: [WORLD, 'const REWIND_SHARE = 0.25;', 'const REWIND_SHARE = 1;'],
  paused: [WORLD, 'const hasPause = chance(0.04);', 'const hasPause = chance(1);'],
  neverRaised: [WORLD, 'const RAISED_SHARE = 0.3;', 'const RAISED_SHARE = 0;'],
  looking: [WORLD, 'const LOOKING_SHARE = 0.06;', 'const LOOKING_SHARE = 1;'],
  raised: [WORLD, 'const RAISED_SHARE = 0.3;', 'const RAISED_SHARE = 1;'],
  deltas: [WORLD, 'const DELTA_SHARE = 0.5;', 'const DELTA_SHARE = 1;'],
  deletions: [WORLD, 'deletes: random() < 0.3,', 'deletes: random() < 1,'],
  lowers: [WORLD, 'reshards.length === 0 && chance(0.3)', 'reshards.length === 0'],
  spilled: [WORLD, 'return random() < 0.2 ? Math.floor(', 'return random() < 1 ? Math.floor('],
  poisoned: [
    WORLD,
    'const poison = chance(0.25) ? pick(POISONS) : undefined;',
    "const poison = 'fold' as const;",
  ],
  timed: [TIME_WORLD, 'const TIMED_SHARE = 0.2;', 'const TIMED_SHARE = 1;'],
  timedToo: [TIME_WORLD, 'const TOO_SHARE = 0.12;', 'const TOO_SHARE = 1;'],
  clocked: [TIME_WORLD, 'const CLOCKED_SHARE = 0.15;', 'const CLOCKED_SHARE = 1;'],
  resharded: [WORLD, 'const reshards = chance(0.35)', 'const reshards = chance(1)'],
  staleListings: [
    'shared/testing/simulator/drawn-faults.ts',
    'faults.refusedDelivery = 12;',
    'faults.refusedDelivery = 12;\n  faults.staleListing = 40;',
  ],
  staleOften: [
    'shared/testing/simulator/simulated-ports.ts',
    "strikes('staleListing', 0.1)",
    "strikes('staleListing', 0.5)",
  ],
  timedPoison: [
    TIME_WORLD,
    'const poison = chance(0.2) ? pick(POISONS) : undefined;',
    "const poison = 'fold' as const;",
  ],
  repartitioned: [WORLD, 'random() < 1 / 6 ?', 'random() < 1 ?'],
  fullOutboxes: [
    WORLD,
    'return random() < 0.15 ? Math.floor(leastRoomBytes * (1 + random())) : undefined;',
    'return leastRoomBytes;',
  ],
  fullestOutboxes: [
    WORLD,
    'return random() < 0.15 ? Math.floor(leastRoomBytes * (1 + random())) : undefined;',
    'return 0.65 * leastRoomBytes;',
  ],
  throttledDestinations: [
    'shared/testing/simulator/drawn-faults.ts',
    'faults.refusedDelivery = 12;',
    'faults.refusedDelivery = 12;\n  faults.throttledDestination = 12;',
  ],
  throttled: [
    'shared/testing/simulator/drawn-faults.ts',
    'faults.refusedDelivery = 12;',
    'faults.refusedDelivery = 12;\n  faults.throttledItem = 8;',
  ],
  largeBatches: [WORLD, 'batchSize: 1 + upTo(8),', 'batchSize: 30 + upTo(8),'],
  atOnce: [WORLD, 'const spreadMs = pick([50, 2_000, 20_000]);', 'const spreadMs = pick([50, 50, 50]);'],
  letters: [
    WORLD,
    'const poison = chance(0.25) ? pick(POISONS) : undefined;',
    'const poison = POISONS[upTo(8)];',
  ],
  lettersWithoutKey: [
    WORLD,
    'const poison = chance(0.25) ? pick(POISONS) : undefined;',
    "const poison = pick(['stateless', 'key'] as const);",
  ],
  mendedEarly: [WORLD, 'const EARLY_SHARE = 0.4;', 'const EARLY_SHARE = 1;'],
  lateRewinds: [WORLD, 'const LATE_REWIND_SHARE = 0.5;', 'const LATE_REWIND_SHARE = 1;'],
  manyOperators: [
    WORLD,
    'const deaths = random() < 0.5 ? 0 : 1 + Math.floor(random() * 2);',
    'const deaths = 2;',
  ],
  frozenOften: [
    'shared/testing/simulator/drawn-faults.ts',
    'faults.refusedDelivery = 12;',
    'faults.refusedDelivery = 12;\n  faults.frozen = 12;',
  ],
  undone: [WORLD, "ends: random() < 0.75 ? 'resume' : 'undo',", "ends: 'undo',"],
  sleepers: [
    'shared/testing/simulator/simulated-rewind.ts',
    'const dies = world.random() < 0.5;',
    'const dies = world.random() < 0;',
  ],
  noRewinds: [WORLD, 'const REWIND_SHARE = 0.25;', 'const REWIND_SHARE = 0;'],
  parked: [WORLD, 'const workload = upTo(WORKLOADS.length - 1);', 'const workload = 5 + 0 * upTo(1);'],
  allSpilled: [WORLD, 'return random() < 0.2 ? Math.floor(random() * 40) : undefined;', 'return 0;'],
  killers: [
    WORLD,
    'const poison = chance(0.25) ? pick(POISONS) : undefined;',
    "const poison = 'foldExit' as const;",
  ],
} as const satisfies Record<string, readonly [string, string, string]>;

function broken(
  name: string,
  within: number,
  ...changes: readonly (readonly [string, string, string])[]
): BrokenEngine {
  return { name, within, changes: changes.map(([file, find, replace]) => ({ file, find, replace })) };
}

/** Each rule of DESIGN.md section 5 that the simulated worlds reach, and more that can be thought of. */
export const BROKEN_ENGINES: readonly BrokenEngine[] = [
  broken('writes without the revision as condition', 100, [
    MEMORY,
    "if (revision !== write.expectedRevision) return 'conflict';",
    '',
  ]),
  broken('knows no marks', 100, [
    FOLD,
    'if (marks === undefined || marks.size === 0) return false;',
    'return false;',
  ]),
  broken('does not publish again what a skipped record has pending', 500, [
    COMMIT,
    'if (stopped !== undefined) await stopped;\n        } else folds',
    'work.item = undefined;\n          if (stopped !== undefined) await stopped;\n        } else folds',
  ]),
  broken(
    'keeps a fold that asked for rows that are not known',
    200,
    [COMMIT, 'if (rows?.missed !== missed) unread.push(work);', 'if (rows === null) unread.push(work);'],
    FOCUS.looking,
  ),
  broken(
    'keeps a redrive that asked for rows that are not known',
    500,
    [
      'shared/engine/looked-up.ts',
      'if (rows?.missed === missed) return result;',
      'if (missed !== -1) return result;',
    ],
    FOCUS.looking,
    FOCUS.letters,
  ),
  broken(
    'lets tombstones expire while their records can come again',
    500,
    [
      COMMIT,
      'const expiresAtSeconds = nowSeconds + tombstoneSeconds + definition.source.retentionHours * 3_600;',
      'const expiresAtSeconds = nowSeconds + 0 * tombstoneSeconds + 3_600;',
    ],
    FOCUS.paused,
  ),
  broken(
    'lets an item expire that has a state',
    500,
    [
      COMMIT,
      'if (operators.find((operator) => operator.name === name)?.forgetsAfterSeconds === undefined) return item;',
      "if (operators.length === 0 && name === '') return item;",
    ],
    FOCUS.paused,
  ),
  broken('leaves no tombstone where a state is removed', 500, [
    DRAFT,
    'const item: StateItem = { pk, revision, marks: this.marks, states,',
    'const item: StateItem = { pk, revision, marks: states.size === 0 && this.#key !== undefined ? new Map() : this.marks, states,',
  ]),
  broken(
    'publishes beyond the end of the batch',
    1_000,
    [
      PUBLISH,
      'if (!isInHand(run, entry)) continue;',
      "if (entry.kind === 'deadLetter' && !isInHand(run, entry)) continue;",
    ],
    FOCUS.sessions,
    FOCUS.writes,
  ),
  broken('publishes beyond the first position that is not committed', 3_000, [
    PUBLISH,
    'if (isOrdered && bound !== undefined && comparePositions(entry.position, bound) >= 0) continue;',
    '',
  ]),
  broken('drops every pending entry at the next write', 500, [
    FOLD,
    'if (isAcknowledged(entry, shard, firsts)) return false;',
    'return false;',
  ]),
  broken('drops entries of other lanes', 2_000, [
    OUTBOX,
    'const first = firsts.get(entry.lane) ?? (shardOfLane(entry.lane) === shard ? firsts.get(shard) : undefined);',
    'const first = firsts.get(entry.lane) ?? [...firsts.values()][0];',
  ]),
  broken('drops entries up to the first position of the batch, that one included', 1_000, [
    OUTBOX,
    'return first !== undefined && comparePositions(entry.position, first) < 0;',
    'return first !== undefined && comparePositions(entry.position, first) <= 0;',
  ]),
  broken('puts two records of one destination key into one request', 500, [
    'shared/output/publish.ts',
    'if (inWave.has(destinationKey)) {',
    'if (inWave.size < 0) {',
  ]),
  broken('goes on with a destination key after a delivery failed', 1_000, [
    'shared/output/publish.ts',
    '[...failed, ...later].sort(compareDeliveries)',
    '[...later, ...failed]',
  ]),
  broken('publishes in the order of the outbox', 1_000, [
    'shared/output/publish.ts',
    'haveOwnKeys(deliveries) ? deliveries : deliveries.toSorted(compareDeliveries)',
    'deliveries.toReversed()',
  ]),
  broken('acknowledges what could not be published', 500, [
    BATCH,
    'return lower(notPublished, firstUncommitted(run));',
    'return firstUncommitted(run);',
  ]),
  broken('acknowledges what could not be committed', 500, [
    BATCH,
    'return lower(notPublished, firstUncommitted(run));',
    'return notPublished;',
  ]),
  broken('advances progress to the end of the batch in spite of a failure', 1_000, [
    BATCH,
    '({ position }) => failedFrom === undefined || comparePositions(position, failedFrom) < 0,',
    '() => true,',
  ]),
  broken(
    'lets records that wait for others before them fill an outbox',
    5_000,
    ['shared/engine/limits.ts', 'ROOM_SHARE_AHEAD = 0.5', 'ROOM_SHARE_AHEAD = 1'],
    FOCUS.sessions,
    FOCUS.fullestOutboxes,
    FOCUS.throttled,
    FOCUS.largeBatches,
    FOCUS.atOnce,
  ),
  broken(
    'makes no room for a redrive where no record comes any more',
    5_000,
    [REDRIVE, "if (outcome !== 'unfinished') return false;", "if (outcome !== 'rejected') return false;"],
    FOCUS.letters,
    FOCUS.fullOutboxes,
  ),
  broken('takes a write in doubt for done', 1_000, [
    COMMIT,
    "if (results[place] === 'committed') {",
    "if (results[place] !== 'conflict') {",
  ]),
  broken('takes a failed condition for done', 1_000, [
    COMMIT,
    "if (results[place] === 'committed') {",
    "if (results[place] !== 'failed') {",
  ]),
  broken('lets Lambda give up', 1_000, [
    'shared/testing/simulator/simulated-pipeline.ts',
    'maximumRetryAttempts: undefined,',
    'maximumRetryAttempts: 1,',
  ]),
  broken('gives outputs ids without the element', 200, [
    'shared/output/output-id.ts',
    '/${position.sub}/${element}/',
    '/${position.sub}/0/',
  ]),
  broken('keeps the marks of a shard with ParallelizationFactor above 1', 500, [
    BATCH,
    'isByPartition ? byPartition(handedIn, opened.progress.byShardUntil) : handedIn',
    'handedIn',
  ]),
  broken(
    'forgets that lanes were by partition key once the factor is lowered',
    1_000,
    [
      'shared/engine/open.ts',
      'isByPartition: progress.isByPartition,',
      'isByPartition: runtime.parallelizationFactor > 1,',
    ],
    FOCUS.loweredFactor,
    FOCUS.lowers,
  ),
  broken(
    'goes on by partition key before what was handed in by shard is done',
    500,
    [
      PART_LANES,
      'const isDone = handedIn === undefined || isAtOrAbove(position, handedIn);',
      'const isDone = handedIn === handedIn || isAtOrAbove(position, handedIn);',
    ],
    FOCUS.loweredFactor,
    FOCUS.raised,
  ),
  broken(
    'forgets up to where lanes were by shard',
    1_000,
    [PART_LANES, 'handedIn, isDone ? position : handedIn)', 'handedIn, undefined)'],
    FOCUS.loweredFactor,
    FOCUS.raised,
    FOCUS.rewinds,
  ),
  broken(
    'forgets in a rewind up to where lanes were by shard',
    1_000,
    [ROWS, 'byShardUntil: lanes.byShardUntil', 'byShardUntil: undefined'],
    FOCUS.loweredFactor,
    FOCUS.raised,
    FOCUS.rewinds,
  ),
  broken(
    'forgets in a rewind what was handed in by shard',
    2_000,
    [ROWS, 'handedIn: lanes.handedIn', 'handedIn: undefined'],
    FOCUS.loweredFactor,
    FOCUS.raised,
    FOCUS.rewinds,
  ),
  broken(
    'has the front of a repartition go on by partition key behind a rewind',
    1_000,
    [ROWS, '!isRelayed && (lanes?.isByPartition ??', '(lanes?.isByPartition ??'],
    FOCUS.loweredFactor,
    FOCUS.repartitioned,
    FOCUS.rewinds,
  ),
  broken(
    'leaves out of a replay what was applied by shard',
    500,
    ['shared/engine/open.ts', "phase === 'live' ? byShardUntil : undefined", 'byShardUntil'],
    FOCUS.loweredFactor,
    FOCUS.raised,
    FOCUS.rewinds,
  ),
  broken(
    'notes lanes by partition key in the rows of known shards alone',
    1_000,
    [
      'shared/engine/open.ts',
      'runtime.store.readControl(runtime.parallelizationFactor > 1)',
      'runtime.store.readControl(false)',
    ],
    ['shared/engine/open.ts', 'control.isByPartition === true', 'runtime.parallelizationFactor > 1'],
    FOCUS.loweredFactor,
    FOCUS.lowers,
    FOCUS.neverRaised,
  ),
  broken('stores a dead letter before its item is committed', 2_000, [
    COMMIT,
    '    const results = await store.commit(',
    `    for (const { item, work } of folds) for (const entry of item.outbox) {
      const record = entry.kind === 'deadLetter' ? recordAt(run.records, entry.position) : undefined;
      if (record !== undefined) {
        const { deadLetterName } = await import('../output/dead-letter-name.ts');
        await run.runtime.deadLetters.put(deadLetterName(run.opened.generation, work.key, entry as never), {} as never);
      }
    }
    const results = await store.commit(`,
  ]),
  broken('keeps what a rejected record did to the state', 500, [
    FOLD,
    '      draft.putBack(saved);\n      if (program',
    '      if (program',
  ]),
  broken('folds again values that user code has changed', 1_000, [
    FOLD,
    'this.#isFresh || element.isShared ? this.#scope.fresh.take(element, this) : element.value',
    'element.value',
  ]),
  broken('lets a change in place last that was never given to update', 500, [
    'shared/pipeline/pipeline.ts',
    'cell.copy() as S | undefined',
    'cell.get() as S | undefined',
  ]),
  broken('never suspects a record of killing the process', 1_000, [
    'shared/engine/limits.ts',
    'DEATHS_BEFORE_SUSPICION = 3',
    'DEATHS_BEFORE_SUSPICION = 3e9',
  ]),
  broken(
    'takes a turn of a living process for a death',
    2_000,
    [
      'shared/engine/turn.ts',
      'deadlinesMs.filter((deadlineMs) => deadlineMs + CLOCK_SLACK_MS < nowMs)',
      'deadlinesMs.filter(() => nowMs > 0)',
    ],
    FOCUS.killers,
  ),
  broken('drops marks before the horizon', 1_000, [
    DRAFT,
    'if (mark.arrivalSeconds < oldest) this.#outbox.dropLane(lane);',
    'if (lane !== this.marks.keys().next().value) this.#outbox.dropLane(lane);',
  ]),
  broken('lets a key have its initial state again before the horizon', 1_000, [
    DRAFT,
    'if (secondsOf(arrivalMs) < this.#newestSeconds + this.#program.tombstoneSeconds) return;',
    '',
  ]),
  broken('compares sequence numbers as text', 500, [
    'shared/source/position.ts',
    '  if (a.length !== b.length) return a.length - b.length;\n',
    '',
  ]),
  broken('takes every event for a change that a newer one supersedes', 200, [
    OUTBOX,
    "if (entry.kind === 'deadLetter' || !entry.isChange) {",
    "if (entry.kind === 'deadLetter') {",
  ]),
  broken('lets progress go back', 2_000, [
    MEMORY,
    'position !== undefined && (current === undefined || current < position)',
    'position !== undefined',
  ]),
  broken('tells outputs by the newest revision of their item, not by that which committed them', 1_000, [
    'shared/state/item-codec.ts',
    'revision: Number(row[ENTRY.revision]?.N ?? itemRevision),',
    'revision: itemRevision,',
  ]),
  broken('knows outputs of another pipeline by where they stand, not by what they are', 1_000, [
    'shared/engine/batch-run.ts',
    'places: isChained ? places : records,',
    'places: records,',
  ]),
  broken('keeps the marks of a chain without the destination key', 1_000, [
    'shared/engine/mark-place.ts',
    'JSON.stringify([lineage, lane, sink, destination])',
    'JSON.stringify([lineage, lane, sink])',
  ]),
  broken('folds records of a parked key', 3_000, [
    FOLD,
    'const { isParked } = draft;',
    'const isParked = false;',
  ]),
  broken('applies records of an aggregate that belong to another shard', 500, [
    'shared/source/aggregate.ts',
    'const isForeign = range !== undefined && !contains(range, hashKey.hashDigits);',
    'const isForeign = false;',
  ]),
  broken('gives all records of an aggregate one position', 200, [
    'shared/source/aggregate.ts',
    'position: { sequence: position.sequence, sub },',
    'position: { sequence: position.sequence, sub: 0 * sub },',
  ]),
  broken(
    "deals an aggregate's records to the lanes of their own partition keys",
    1_000,
    [
      'shared/source/aggregate.ts',
      'deliveryKey,\n          lane,',
      'deliveryKey: partitionKey.text,\n          lane,',
    ],
    FOCUS.loweredFactor,
  ),
  broken('lets an item with a dead letter that nobody has closed give out its number again', 1_000, [
    DRAFT,
    'this.#letters = { next: next + count,',
    'this.#letters = { next: next + 0 * count,',
  ]),

  // Of repartitions.
  broken(
    'acknowledges in front of a repartition before the put is confirmed',
    1_000,
    [
      PUBLISH,
      'failed = lower(failed, result.firstFailed);',
      'if (run.relayed.length === 0) failed = lower(failed, result.firstFailed);',
    ],
    FOCUS.repartitioned,
  ),
  broken(
    'puts what a relay passes on without the hash of the destination key',
    1_000,
    ['shared/output/envelope.ts', 'destination: hashOfKey(destinationKey),', "destination: 'any',"],
    FOCUS.repartitioned,
  ),
  broken(
    'puts what a relay passes on under a number of its own',
    1_000,
    [
      'shared/output/envelope.ts',
      'encodeMarkPosition({ ...position, element, index: entry.index })',
      'encodeMarkPosition({ sequence: String(++(globalThis as unknown as { puts: number }).puts), sub: 0, element: 0, index: 0 })',
    ],
    [
      'shared/output/envelope.ts',
      'export interface OutputEnvelope {',
      'Object.assign(globalThis, { puts: 1e9 });\nexport interface OutputEnvelope {',
    ],
    FOCUS.repartitioned,
  ),
  broken(
    'goes by partition keys in front of a repartition as it does behind it',
    1_000,
    [
      'shared/engine/open.ts',
      'control.isByPartition === true && runtime.program.relay === undefined;',
      'control.isByPartition === true;',
    ],
    FOCUS.repartitioned,
    FOCUS.loweredFactor,
  ),
  broken(
    'closes a letter of a relay without holding what is to be put',
    1_000,
    ['shared/engine/letter-work.ts', 'isLetter(entry, number)), ...entries],', 'isLetter(entry, number))],'],
    FOCUS.repartitioned,
  ),
  broken(
    'puts what a relay rejected under a new lane each time that it is redriven',
    1_000,
    [
      'shared/engine/letter-work.ts',
      "if (entry.kind === 'output') {\n        addDelivery(deliveries, pipeline, item, entry, this.#control);",
      "if (entry.kind === 'output') {\n        addDelivery(deliveries, pipeline, item, { ...entry, ...this.#lane.next() }, this.#control);",
    ],
    FOCUS.repartitioned,
  ),

  // Of the sweep of spilled states.
  broken(
    'sweeps objects whatever their age',
    1_000,
    [
      'shared/state/sweep-spilled.ts',
      'return isBeyondHorizon || (',
      'return revision > 0 || isBeyondHorizon || (',
    ],
    FOCUS.spilled,
  ),
  broken(
    'sweeps what an item points to',
    1_000,
    [
      'shared/state/sweep-spilled.ts',
      'if (item?.spilled !== undefined && blobName(pk, item.spilled) === name) return false;',
      '',
    ],
    FOCUS.spilled,
  ),
  broken(
    'gives what a redrive spills the name that an earlier try gave it',
    3_000,
    [
      'shared/engine/letter-work.ts',
      'const revision = Math.max(folded.revision, firstRevision(generationOf(folded.pk), nowMs));',
      'const revision = item === undefined ? Math.floor(nowMs) : folded.revision;',
    ],
    FOCUS.spilled,
    FOCUS.poisoned,
  ),
  broken(
    'rewinds without a seal',
    2_000,
    [REWIND, "changeAll(rewinder, rewind.from, { kind: 'seal' }, version)", 'Promise.resolve(true)'],
    FOCUS.rewinds,
  ),
  broken(
    'rewinds and forgets how far event time was',
    1_000,
    [ROWS, '...(time !== undefined && { time }),', ''],
    FOCUS.timed,
    FOCUS.rewinds,
  ),
  broken(
    'restores items without what fired last',
    1_000,
    [LINE, 'delete row[ITEM.settled];', 'delete row[ITEM.settled]; delete row[ITEM.fired];'],
    FOCUS.timed,
    FOCUS.rewinds,
  ),
  broken(
    'lets a pipeline take over the state of another that is ahead of it',
    3_000,
    [OBJECTIONS, '? [shard] : []', '? [] : []'],
    FOCUS.forks,
    FOCUS.replaces,
  ),
  broken(
    'forgets in a fork what was handed in by shard',
    3_000,
    [ROWS, '    ...(handedIn !== undefined && { handedIn }),', ''],
    FOCUS.loweredFactor,
    FOCUS.raised,
    FOCUS.forks,
  ),
  broken(
    'forks without letters',
    1_000,
    [FORK, 'if (letter !== undefined) await kept.put(', 'if (letter === undefined) await kept.put('],
    [FORK, '{ ...letter, pipeline: to.pipeline }', 'letter as never'],
    FOCUS.forks,
  ),
  broken(
    'keeps items in its cache under their keys alone',
    500,
    ['shared/engine/item-cache.ts', 'return this.#shards.get(shard)?.items.get(pk)?.item;', SAME_OF_ANY],
    FOCUS.rewinds,
  ),
  broken(
    'takes live events during a replay',
    2_000,
    [
      'shared/engine/open.ts',
      "if (progress.phase !== (origin.kind === 'replay' ? 'replay' : 'live')) {",
      "if (progress.phase === 'live' && origin.kind === 'replay') {",
    ],
    FOCUS.rewinds,
  ),
  broken(
    'restores over what is there',
    2_000,
    [
      RESTORE,
      'expectedRevision: undefined,',
      'expectedRevision: (await store.load([item.pk])).get(item.pk)?.revision,',
    ],
    [RESTORE, 'left.map((item) => ({', 'await Promise.all(left.map(async (item) => ({'],
    [
      RESTORE,
      'program.limits.inlineStateBytes,\n        })),',
      'program.limits.inlineStateBytes,\n        }))),',
    ],
    FOCUS.rewinds,
  ),
  broken(
    'restores items without their outboxes',
    2_000,
    [
      RESTORE,
      'items.map((item) => stamped(runtime, item))',
      'items.map((item) => stamped(runtime, { ...item, outbox: [] }))',
    ],
    [RESTORE, 'digest.add(', 'if (digest === undefined) digest.add('],
    [
      REWIND,
      'counted.items !== items || counted.digest !== digest',
      'counted.items !== items && counted.digest === digest',
    ],
    FOCUS.rewinds,
  ),
  broken(
    'acknowledges without advancing progress',
    1_000,
    [
      BATCH,
      "if (advanced === 'sealed') failedFrom = first;",
      "if (advanced === 'sealed') failedFrom = undefined;",
    ],
    FOCUS.rewinds,
  ),
  broken(
    'reads progress behind the scan of a checkpoint',
    2_000,
    [
      TAKE,
      '{ ...work, isByPartition }',
      '{ ...work, isByPartition, shards: await shardPositions(taker.store, taker.streamShards, work.generation, taker.streams) }',
    ],
    FOCUS.rewinds,
  ),
  broken(
    'replays from the recorded progress with ParallelizationFactor above 1',
    3_000,
    [ROWS, 'checkpointed?.position === undefined || hasLanes', 'checkpointed?.position === undefined'],
    FOCUS.rewinds,
    FOCUS.loweredFactor,
  ),
  broken(
    'switches to a generation that is not verified, nor whole',
    1_000,
    [RESTORE, "results[place] === 'failed'", 'results[place] === undefined'],
    [REWIND, 'counted.items !== items || counted.digest !== digest', 'counted.items > items'],
    FOCUS.rewinds,
    FOCUS.writes,
  ),
  broken(
    'changes progress rows without a look at the version of the control row',
    2_000,
    [
      'shared/state/memory-generation-store.ts',
      "(decodeControl(control).version ?? 0) !== version) return 'superseded';",
      "version < 0) return 'superseded';",
    ],
    FOCUS.rewinds,
    FOCUS.manyOperators,
    FOCUS.sleepers,
    FOCUS.frozenOften,
    FOCUS.undone,
  ),

  // Of deltas.
  broken(
    'writes the manifest before the scan has come to its end',
    1_000,
    [TAKE, "if (end.kind === 'unfinished') {", "if (end.kind === 'unfinished' && work.id === '') {"],
    FOCUS.lettersWithoutKey,
    FOCUS.noRewinds,
    FOCUS.lateRewinds,
  ),
  broken(
    'counts lines of a base whose keys have changed or gone',
    1_000,
    [TAKE, 'under.push({ ...part, kept: { first, lines } })', 'under.push(part)'],
    FOCUS.rewinds,
    FOCUS.deltas,
  ),
  broken(
    'restores lines of a base that no longer count',
    1_000,
    ['shared/checkpoint/read-checkpoint.ts', 'if (counting.has(number++)) yield line;', 'yield line;'],
    FOCUS.rewinds,
    FOCUS.deltas,
  ),
  broken(
    'takes a changed item for one that the base has',
    1_000,
    [
      'shared/checkpoint/line-pool.ts',
      'if (words.every((word, place) => this.#hashes[line * WORDS + place] === word)) return line;',
      'if (words.length > 0) return line;',
    ],
    FOCUS.rewinds,
    FOCUS.deltas,
  ),
  broken(
    'forgets what a delta had found again when it was interrupted',
    1_000,
    [SCAN, 'kept === undefined ? [] : [kept]', '[kept].slice(1) as never'],
    FOCUS.rewinds,
    FOCUS.deltas,
  ),
  broken(
    'removes a checkpoint on which a delta counts',
    1_000,
    [UNNEEDED, "kind === 'unreadable' || needed.has(id) ||", "kind === 'unreadable' ||"],
    FOCUS.rewinds,
    FOCUS.deltas,
  ),
  broken(
    'removes the base of a delta that is being taken',
    5_000,
    [UNNEEDED, 'base === undefined ? [] : foldersUnder(base.parts)', 'base === undefined ? [] : []'],
    FOCUS.rewinds,
    FOCUS.deltas,
    FOCUS.deletions,
  ),

  // Of letters and their redrive, of full outboxes, of spilled states and of seen ids.
  broken('closes a redriven letter in a write of its own', 500, [
    REDRIVE,
    `        letters: closeLetter(item.letters ?? NO_LETTERS, number),
      };
      if (!(await this.#commit(written, item))) continue;`,
    `        letters: item.letters ?? NO_LETTERS,
      };
      if (!(await this.#commit(written, item))) continue;
      await this.#close(letter);`,
  ]),
  broken('removes a letter before what it became is published', 500, [
    REDRIVE,
    `      };
      if (!(await this.#commit(written, item))) continue;
      if ((await this.#settle(letter, written)) === 'failed') return NOT_PUBLISHED;
      return this.#putAway(letter, 'redriven');`,
    `      };
      if (!(await this.#commit(written, item))) continue;
      await this.#putAway(letter, 'redriven');
      return (await this.#settle(letter, written)) === 'failed' ? NOT_PUBLISHED : { outcome: 'redriven' };`,
  ]),
  broken('takes a closed letter for published', 1_000, [
    REDRIVE,
    `      const pending = await this.#settle(letter, item);
      if (pending === 'failed') return NOT_PUBLISHED;
      if (pending === 'cleared') continue;
      if (status === 'closed') return this.#putAway(letter, 'alreadyDone');
      const obstacle`,
    `      if (status === 'closed') return this.#putAway(letter, 'alreadyDone');
      const pending = await this.#settle(letter, item);
      if (pending === 'failed') return NOT_PUBLISHED;
      if (pending === 'cleared') continue;
      const obstacle`,
  ]),
  broken('takes the mark of a redriven letter out before it closes the letter', 500, [
    REDRIVE,
    `    if (!wasClosed) {
      const closing =`,
    `    if (!wasClosed) {
      for (const pk of pks) await this.#clear(pk, new Set(), letterMark(letter.item, letter.number));
      const closing =`,
  ]),
  broken('leaves no mark of a letter with the keys that its record is applied to', 500, [
    REDRIVE,
    'if (mark !== undefined && own !== undefined) marks.set(mark, own);',
    '',
  ]),
  broken(
    'closes a letter without a key in the middle of a scan',
    10_000,
    [
      REDRIVE,
      'const closing = (await this.#checkpointUnderWay()) ?? (await this.#close(letter));',
      'const closing = await this.#close(letter);',
    ],
    FOCUS.lettersWithoutKey,
    FOCUS.noRewinds,
    FOCUS.lateRewinds,
  ),
  broken(
    'takes the mark of a closed letter out in the middle of a scan',
    10_000,
    [
      REDRIVE,
      'const wait = mayClear ? undefined : await this.#checkpointUnderWay();',
      'const wait = undefined as Ending | undefined;',
    ],
    FOCUS.lettersWithoutKey,
    FOCUS.noRewinds,
    FOCUS.lateRewinds,
  ),
  broken(
    'takes a checkpoint for over between two invocations that take it',
    5_000,
    [LETTER_RESULTS, 'nowMs >= checkpoint.overMs', 'nowMs >= checkpoint.untilMs'],
    FOCUS.lettersWithoutKey,
    FOCUS.noRewinds,
    FOCUS.lateRewinds,
  ),
  broken(
    "reads whether a letter is open before it reads the key's item",
    5_000,
    [
      REDRIVE,
      `      const item = await this.#load(pk);
      const shardItem = await this.#load(letter.item);`,
      `      const shardItem = await this.#load(letter.item);
      const item = await this.#load(pk);`,
    ],
    FOCUS.lettersWithoutKey,
  ),
  broken(
    'applies a record whose letter has no key when mended code gives it one',
    1_000,
    [
      LEAVE_OUT,
      'const isRejected = rejectedIn(run, items, listed);',
      'const isRejected = (): boolean => false;',
    ],
    FOCUS.lettersWithoutKey,
    FOCUS.mendedEarly,
  ),
  broken(
    'forgets to store a letter whose record has a key by now',
    1_000,
    [LEAVE_OUT, '  addWorks(run, items);\n', ''],
    FOCUS.lettersWithoutKey,
    FOCUS.mendedEarly,
  ),
  broken(
    'goes on with a key before the letters in front of it are committed',
    2_000,
    [
      COMMIT,
      `    works.filter(({ key }) => key !== undefined),
    waiting,`,
      `    works.filter(({ key }) => key !== undefined),
    Infinity,`,
    ],
    FOCUS.lettersWithoutKey,
    FOCUS.mendedEarly,
  ),
  broken(
    'takes all in front of a letter for settled',
    1_000,
    [
      FOLD,
      'if (this.#work.key === undefined) this.#list(draft, place, run.entries);',
      'if (this.#work.key === undefined) draft.settled = place.position;',
    ],
    FOCUS.lettersWithoutKey,
    FOCUS.mendedEarly,
  ),
  broken(
    'believes what a restored item says of the moment when it was read',
    5_000,
    ['shared/checkpoint/checkpoint-line.ts', '  delete row[ITEM.settled];\n', ''],
    FOCUS.lettersWithoutKey,
    FOCUS.rewinds,
  ),
  broken(
    'takes for the list of all letters what a restored item lists',
    500,
    [
      LEAVE_OUT,
      'if (hasForgotten(run, items)) {',
      'if (hasForgotten(run, items) && opened.generation < 0) {',
    ],
    FOCUS.lettersWithoutKey,
    FOCUS.loweredFactor,
    FOCUS.rewinds,
  ),
  broken(
    'gives no notice that a lane has letters',
    2_000,
    [LEAVE_OUT, 'hasOneLane(run) || (await giveNotice(run.runtime, run.opened.generation))', 'true'],
    FOCUS.lettersWithoutKey,
    FOCUS.mendedEarly,
    FOCUS.loweredFactor,
  ),
  broken(
    'redrives values that the fold whose write was refused has changed',
    2_000,
    [
      REDRIVE,
      'this.#fold(letter, item, key, record, elements, tries === 0, mark, others)',
      'this.#fold(letter, item, key, record, elements, true, mark, others)',
    ],
    FOCUS.sessions,
    FOCUS.lettersWithoutKey,
    FOCUS.writes,
  ),
  broken(
    'drops a letter without publishing what a redrive of it committed',
    2_000,
    [REDRIVE, 'return this.#finish(letter, pks, closing', 'return this.#putAway(letter, closing'],
    FOCUS.letters,
  ),
  broken(
    'redrives parked letters out of order where it is forced',
    1_000,
    [
      REDRIVE,
      'if (!isParked && this.#request.isForced) return undefined;',
      'if (this.#request.isForced) return undefined;',
    ],
    FOCUS.parked,
  ),
  broken(
    'parks a key no more once the first of its letters is closed',
    1_000,
    [
      'shared/state/letters.ts',
      'return head === next ? { next, closed } : { next, closed, parkedFrom: head };',
      'return head > parkedFrom ? { next, closed } : { next, closed, parkedFrom: head };',
    ],
    FOCUS.parked,
  ),
  broken('gives redrives one after the other the same lane', 5_000, [
    'shared/engine/redrive-lane.ts',
    'this.#name = `${PREFIX}${session}.${worker}`;',
    'this.#name = `${PREFIX}${worker + 0 * session.length}`;',
  ]),
  broken(
    'goes on in the lane of a redrive behind outputs that are not published',
    5_000,
    [REDRIVE_ALL, 'if (!isOver) lane.renew();', ''],
    FOCUS.letters,
    FOCUS.sessions,
    FOCUS.throttledDestinations,
  ),
  broken(
    'forgets when a redriven record arrived with the mark of its letter',
    5_000,
    [
      'shared/engine/redrive-lane.ts',
      'return rest.set(ARRIVAL_MARK, { position: NOWHERE, arrivalSeconds });',
      'return rest;',
    ],
    FOCUS.sessions,
    FOCUS.lettersWithoutKey,
  ),
  broken('keeps from the control row that lanes are by partition key', 500, [
    SPILLING,
    'return this.#store.readControl(isByPartition);',
    'return this.#store.readControl(isByPartition === true && undefined);',
  ]),
  broken('removes a replaced object before the write that points elsewhere', 500, [
    SPILLING,
    'const outcomes = await this.#store.commit(stored.filter((write) => write !== undefined));',
    `for (const [place, { item, loaded }] of writes.entries()) {
      const [before, now] = [this.#whereaboutsOf(loaded), stored[place]?.item.spilled];
      if (stored[place] !== undefined && before !== undefined && before !== now)
        await this.#blobs.remove(blobName(item.pk, before));
    }
    const outcomes = await this.#store.commit(stored.filter((write) => write !== undefined));`,
  ]),
  broken(
    'puts an object after the write that points to it',
    500,
    [
      SPILLING,
      'await this.#blobs.put(blobName(pk, spilled), packBlob({ pk, revision }, text));',
      'this.late.push(() => this.#blobs.put(blobName(pk, spilled), packBlob({ pk, revision }, text)));',
    ],
    [
      SPILLING,
      '    await this.#settle(writes, stored, results);\n',
      '    for (const put of this.late.splice(0)) await put();\n    await this.#settle(writes, stored, results);\n',
    ],
    [SPILLING, '  #puts = 0;', '  readonly late: (() => Promise<void>)[] = [];\n  #puts = 0;'],
  ),
  broken('removes the object of a write that is not confirmed', 2_000, [
    SPILLING,
    "if (results[place] !== 'committed') continue;",
    `const put = stored[place]?.item.spilled;
      if (results[place] !== 'committed') {
        if (put !== undefined && put !== this.#whereaboutsOf(loaded)) replaced.push(blobName(item.pk, put));
        continue;
      }`,
  ]),
  broken('removes an object that the same states still stand in', 1_000, [
    SPILLING,
    'if (before !== undefined && before !== now) replaced',
    'if (before !== undefined) replaced',
  ]),
  broken(
    'never looks again where an item points when its object is gone',
    5_000,
    [
      SPILLING,
      'if (again.spilled !== undefined && blobName(pk, again.spilled) === name) {',
      'if (tries === 0) {',
    ],
    FOCUS.allSpilled,
  ),
  broken('forgets ids when it remembers another', 500, [
    'shared/pipeline/seen-ids.ts',
    'const kept = seen.subarray(Math.max(from, end - (limit - 1) * SEEN_ID_BYTES));',
    'const kept = seen.subarray(Math.max(from, end - 0 * (limit - 1) * SEEN_ID_BYTES));',
  ]),
  broken('forgets the ids that come behind one that was seen', 500, [
    'shared/pipeline/dedupe.ts',
    'withinSeconds, limit);\n      if (next === undefined) return NOTHING;',
    'withinSeconds, limit);\n      if (next === undefined) {\n        cell.remove();\n        return NOTHING;\n      }',
  ]),
  broken('compares sequence numbers as JavaScript numbers', 500, [
    'shared/source/position.ts',
    '  if (a.length !== b.length) return a.length - b.length;\n',
    '  if (a.length > 15) return Number(a) - Number(b);\n',
  ]),
  broken('hands two keys one object', 500, [FOLD, 'this.#isFresh || element.isShared ?', 'this.#isFresh ?']),
  broken('rejects for a key the element that throws and no other of its record', 1_000, [
    FOLD,
    'if (rejection !== undefined) return rejection;\n    }',
    'if (rejection !== undefined && place === end - 1) return rejection;\n    }',
  ]),
  broken('rejects a record for which a full outbox has no room', 1_000, [
    FOLD,
    `      this.#late = this.#lateBefore;
      if (this.#ran > 0) return 'full';
`,
    `      this.#late = this.#lateBefore;
      run.clear();
      this.#addLetters(draft, run, record, place, at, end, { stage: 'output', reason: OUTBOX_IS_FULL });
      draft.accept(record.arrivalMs, run.entries);
      this.#firstRan ??= record;
      this.#lastRan = record;
      this.#lastPlace = place;
      if (fired === 0) return 'done';
`,
  ]),
  broken(
    'drops from a full outbox what is not published',
    1_000,
    [FOLD, 'return !published.has(entry);', 'return !published.has(entry) && published.size === 0;'],
    FOCUS.fullOutboxes,
    FOCUS.largeBatches,
    FOCUS.atOnce,
  ),
  broken('knows an output that stands twice in a batch for two', 2_000, [
    FOLD,
    'if (last?.lane === lane) return compareMarkPositions(position, last.position) <= 0;',
    'if (last?.lane === lane) return false;',
  ]),

  // Of event time.
  broken(
    'judges lateness by how far all lanes are',
    500,
    [
      FOLD,
      'const overMs = Math.max(this.#scope.times?.before[index] ?? -Infinity, firedMs);',
      'const overMs = Math.max(Math.min(this.#scope.times?.others ?? -Infinity, this.#scope.times?.before[index] ?? -Infinity), firedMs);',
    ],
    FOCUS.timed,
  ),
  broken(
    'judges lateness by the clock',
    500,
    [BATCH, 'records.map((record) => clock.overBefore(record))', 'records.map((record) => record.arrivalMs)'],
    FOCUS.timed,
  ),
  broken(
    'judges all records of a batch by the time behind it',
    500,
    [BATCH, 'records.map((record) => clock.overBefore(record))', 'records.map(() => clock.overBehind)'],
    FOCUS.timed,
  ),
  broken(
    'notes with progress the event time of the whole batch',
    500,
    [BATCH, 'opened.clock?.at(last)', 'opened.clock?.at(records.at(-1))'],
    FOCUS.timed,
  ),
  broken(
    'takes a shard for idle without a read that proves it',
    500,
    [SWEEP, "=== 'nothing';", '!== undefined;'],
    FOCUS.timed,
  ),
  broken(
    'lifts a shard that is closed, by a listing that is older',
    500,
    [SWEEP, "=== 'nothing';", "!== 'records';"],
    FOCUS.timed,
    FOCUS.resharded,
    FOCUS.staleListings,
    FOCUS.staleOften,
  ),
  broken(
    'lifts a child over what its parents still hold',
    1_000,
    [
      SWEEP,
      'if (progress?.position === undefined && !(await haveEnded',
      'if (progress === undefined && generationless && !(await haveEnded',
    ],
    [SWEEP, 'const LANES_IN_FLIGHT = 8;', 'const LANES_IN_FLIGHT = 8;\nconst generationless = false;'],
    FOCUS.timed,
  ),
  broken(
    'ignores shards that have no progress',
    500,
    [
      LANES,
      'hasChildren: areChildrenKnown(lane.shard, lanes),',
      'hasChildren: !progress.has(lane.shard) || areChildrenKnown(lane.shard, lanes),',
    ],
    FOCUS.timed,
  ),
  broken(
    'lets a parent go when one of its children is listed',
    1_000,
    [LANES, 'children.length > 1 ||', 'children.length > 0 ||'],
    FOCUS.timed,
    FOCUS.resharded,
    FOCUS.staleListings,
    FOCUS.staleOften,
  ),
  broken(
    'begins a shard that is not listed yet as one without parents',
    2_000,
    [LANES, "if (!byShard.has(shard)) return 'unknown';", ''],
    FOCUS.timed,
    FOCUS.resharded,
    FOCUS.staleListings,
    FOCUS.staleOften,
  ),
  broken(
    'begins a child without the time of its parents',
    1_000,
    [
      'shared/engine/open.ts',
      'position === undefined ? await firstLaneTime(runtime, generation, shard) : known',
      'known',
    ],
    FOCUS.timed,
  ),
  broken(
    'begins the time of a batch anew',
    500,
    ['shared/time/lane-clock.ts', 'this.#now = begin;', 'this.#now = undefined;'],
    FOCUS.timed,
  ),
  broken(
    'fires before other shards are as far',
    500,
    [FOLD, 'Math.min(times.others, times.before[index] ?? -Infinity)', 'times.before[index] ?? -Infinity'],
    FOCUS.timed,
  ),
  broken(
    'fires before the first record by the time of the whole batch',
    500,
    [
      FOLD,
      'Math.min(times.others, times.before[index] ?? -Infinity)',
      'Math.min(times.others, times.behind)',
    ],
    FOCUS.timed,
  ),
  broken(
    'fires no timer before a record',
    500,
    [
      FOLD,
      'const event = Math.min(times.others, times.before[index] ?? -Infinity);',
      'const event = -Infinity;',
    ],
    FOCUS.timed,
  ),
  broken(
    'sweeps without waiting for the lateness',
    500,
    [SWEEP, 'const overMs = reachedMs - time.latenessMs;', 'const overMs = reachedMs;'],
    FOCUS.timed,
  ),
  broken(
    'sweeps without the revision as condition',
    1_000,
    [
      FIRE,
      'expectedRevision: loaded.revision,',
      'expectedRevision: (await store.load([pk])).get(pk)?.revision,',
    ],
    FOCUS.timed,
  ),
  broken(
    'takes what a sweep fired out of the outbox before it is published',
    500,
    [FIRE, "return firstFailed === undefined ? new Set(own) : 'failed';", 'return new Set(own);'],
    FOCUS.timed,
  ),
  broken(
    'forgets up to where it has fired when the state is removed',
    500,
    [
      DRAFT,
      '...(firedMs !== -Infinity && { firedMs }),',
      '...(firedMs !== -Infinity && states.size > 0 && { firedMs }),',
    ],
    FOCUS.timed,
  ),
  broken(
    'takes an item out of the index before what it fired is published',
    500,
    [
      DRAFT,
      "const dueMs = item.outbox.some(({ lane }) => isTimerLane(lane)) ? 0 : this.nextTimer('event')?.dueMs;",
      "const dueMs = this.nextTimer('event')?.dueMs;",
    ],
    FOCUS.timed,
  ),
  broken(
    'keeps a time in the index behind which an earlier timer is',
    500,
    [DRAFT, 'stored > 0 && stored <= dueMs &&', 'stored > 0 &&'],
    FOCUS.timed,
  ),
  broken(
    'tells what timers made by the lane of the record that carries it',
    500,
    [
      'shared/output/output-id.ts',
      'const { lane, position } = origin !== undefined && isTimerLane(origin.lane) ? origin : entry;',
      'const { lane, position } = origin !== undefined && isTimerLane(origin.lane) && entry.lane === origin.lane ? origin : entry;',
    ],
    FOCUS.timed,
  ),
  broken(
    'gives what a timer made an id by who fired it',
    500,
    [
      'shared/engine/fire-timers.ts',
      'const position = { sequence: String(dueMs), sub: cell };',
      'const position = { sequence: String(dueMs + maker.arrivalMs), sub: cell };',
    ],
    FOCUS.timed,
  ),
  broken(
    'publishes what a timer made before what was due earlier and is with another shard or a sweep',
    2_000,
    [DRAFT, 'if (this.#timed.length > 0) this.#carryTimers(entries);', ''],
    FOCUS.timed,
  ),
  // Of timers that go by the clock.
  broken(
    'raises how far event time has fired by what fires by the clock',
    200,
    [
      DRAFT,
      'else this.processingFiredMs = Math.max(this.processingFiredMs, dueMs);',
      'else this.processingFiredMs = this.firedMs = Math.max(this.processingFiredMs, dueMs);',
    ],
    FOCUS.timed,
    FOCUS.clocked,
  ),
  broken(
    'forgets up to where it has fired by the clock',
    200,
    [DRAFT, '...(processingFiredMs !== -Infinity && { processingFiredMs }),', ''],
    FOCUS.timed,
    FOCUS.clocked,
  ),
  broken(
    'keeps up to where it fired by the clock before a record that is rejected',
    1_000,
    [DRAFT, 'this.processingFiredMs = processingFiredMs;\n    this', 'this'],
    FOCUS.timed,
    FOCUS.clocked,
    FOCUS.timedPoison,
  ),
  broken(
    'takes what fired by the clock out of the outbox before it is published',
    500,
    [
      FIRE,
      'const pending = item.outbox.filter((entry) => !published.has(entry));',
      "const pending = item.outbox.filter(({ lane }) => !lane.startsWith('clock/'));",
    ],
    FOCUS.timed,
    FOCUS.clocked,
  ),
  broken(
    'publishes what the clock fires before the write that says so',
    500,
    [
      FIRE,
      '    const [result] = await store.commit([write]);',
      '    await publishFired(runtime, standing, written, keepGoing, report);\n    const [result] = await store.commit([write]);',
    ],
    FOCUS.timed,
    FOCUS.clocked,
  ),
  broken(
    'fires nothing by the clock before a record that arrived later',
    200,
    [FOLD, '{ event, processing: record.arrivalMs }', '{ event, processing: -Infinity }'],
    FOCUS.timed,
    FOCUS.clocked,
  ),
  broken(
    'sweeps ahead of the clock',
    200,
    [SWEEP, 'const processing = runtime.clock.nowMs();', 'const processing = runtime.clock.nowMs() + 5_000;'],
    FOCUS.timed,
    FOCUS.clocked,
  ),
  broken(
    'keeps a time in the index of the clock behind which an earlier timer is',
    500,
    [
      DRAFT,
      'stored <= dueMs && this.processingFiredMs ===',
      'stored !== undefined && this.processingFiredMs ===',
    ],
    FOCUS.timed,
    FOCUS.clocked,
  ),
  broken(
    'puts what both times make into one lane of the key',
    500,
    [
      'shared/engine/fire-timers.ts',
      'const lane = timerLane(hashOfKey(key), domain);',
      'const lane = timerLane(hashOfKey(key));',
    ],
    FOCUS.timed,
    FOCUS.clocked,
  ),
  broken(
    'keeps what timers made before a record that is rejected, and fires them again',
    1_000,
    [FOLD, '      run.clear();\n      this.#addLetters', '      this.#addLetters'],
    FOCUS.timed,
  ),
  broken(
    'keeps up to where it fired before a record that is rejected',
    1_000,
    [DRAFT, 'this.firedMs = firedMs;\n    for', 'for'],
    FOCUS.timed,
    FOCUS.timedPoison,
  ),
  broken(
    'adds a value that is late for some of its windows to all of them',
    1_000,
    [
      'shared/time/aligned-windows.ts',
      'if (startMs < start || startMs >= end || aboveMs >= end) continue;',
      'if (startMs < start || startMs >= end) continue;',
    ],
    FOCUS.timed,
  ),
  broken(
    'takes a value for late when event time is a moment before the end of its window',
    500,
    ['shared/time/aligned-windows.ts', 'if (lastMs <= closedMs) {', 'if (lastMs <= closedMs + 500) {'],
    FOCUS.timed,
  ),
  broken(
    'leaves sessions apart that a value brings together',
    500,
    [
      'shared/time/session-windows.ts',
      'each.startMs <= endMs && eventMs <= each.endMs',
      'each.startMs <= eventMs && eventMs <= each.endMs',
    ],
    FOCUS.timed,
  ),
  broken(
    'publishes the state of a window in place of its result',
    500,
    [
      'shared/engine/program.ts',
      "step.operator.outputs === 'change' && step.operator.timers === undefined;",
      "step.operator.outputs === 'change';",
    ],
    FOCUS.timed,
  ),
  broken(
    'judges times to live by the highest time that its process has met',
    500,
    [
      'shared/time/process-states.ts',
      'keyMs = timeMs;',
      'const met = globalThis as { metMs?: number }; keyMs = met.metMs = Math.max(met.metMs ?? 0, timeMs);',
    ],
    FOCUS.timed,
    FOCUS.timedToo,
  ),
];
