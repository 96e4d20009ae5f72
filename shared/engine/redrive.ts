import { readDeadLetterName } from '../output/dead-letter-name.ts';
import type { RedrivePlaces } from '../output/dead-letter-store.ts';
import { inParallel } from '../state/in-parallel.ts';
import type { LetterOutcome, LetterResult, LettersRequest } from './letter-results.ts';
import { LetterWork } from './letter-work.ts';
import { DEADLINE_MARGIN_MS } from './limits.ts';
import { RedriveLane } from './redrive-lane.ts';
import type { Runtime } from './runtime.ts';

/** Letters that are taken at a time, never two of one key. */
const WORKERS = 4;

/**
 * Redrives or drops dead letters, each at most once, those of one key in order.
 *
 * The item that committed a letter says whether it is open. The write that applies its record closes it, so that no
 * crash, no second redrive and no late duplicate applies it again, whenever they come; two at once are told apart by the
 * item's revision. Then its outputs are published and taken out of the outbox, and the letter itself is removed last:
 * where the process dies, it is still there, and redriving it again brings to an end what was begun.
 *
 * @param deadlineMs when Lambda ends the process, milliseconds since the epoch.
 * @returns a result per name, in their order.
 * @throws ConfigurationError for what concerns every record; what was done by then stays done.
 */
export async function processLetters(
  runtime: Runtime,
  request: LettersRequest,
  deadlineMs: number,
): Promise<LetterResult[]> {
  // Often a row was wrong or missing, and is mended now: what this container read before is not what is meant.
  delete runtime.knownTables;
  const control = await runtime.store.readControl();
  const keepGoing = (): boolean => runtime.clock.nowMs() < deadlineMs - DEADLINE_MARGIN_MS;
  const results = new Map<string, LetterResult>();
  const queue = groupsOf(request.names).values();
  await inParallel(
    Array.from({ length: WORKERS }, (_, worker) => worker),
    WORKERS,
    async (worker) => {
      const lane = new RedriveLane(request.session, worker);
      for (let group = queue.next(); !group.done; group = queue.next()) {
        let blockedBy: LetterResult | undefined;
        for (const name of group.value.names) {
          const result =
            blockedBy === undefined
              ? await new LetterWork(runtime, request, control, lane, keepGoing, name).run()
              : waitsBehind(name, blockedBy);
          results.set(name, result);
          const isOver = OVER.has(result.outcome);
          if (!isOver) lane.renew();
          if (!isOver && group.value.isOfKey && !request.isForced) blockedBy ??= result;
        }
      }
    },
  );
  return request.names.map((name) => results.get(name) as LetterResult);
}

/** A letter that a rewind has opened again, and that is to be closed as it was closed before. */
export interface LetterRedo {
  readonly name: string;
  readonly action: LettersRequest['action'];
  /** Where the outputs of the first redrive stand, which those of this one are to repeat; new places where not given. */
  readonly places?: RedrivePlaces;
}

export interface RedoResult extends LetterResult {
  /** Whether some of its outputs stand where none of the first redrive do. */
  readonly hasNewPlaces: boolean;
}

/** What has begun and is not known to be through: what would come behind it waits. */
const STUCK: ReadonlySet<LetterOutcome> = new Set(['unfinished', 'notBegun']);

/**
 * Redrives and drops letters one after the other, in their order. A lane that was used before is gone through in the
 * order of its places, as long as the letters come in the order in which they were closed: where one is stuck, those
 * behind it that share its key or its lane wait. Doing it again, from any letter on, is safe.
 * @param session see `LettersRequest`.
 * @param deadlineMs when Lambda ends the process, milliseconds since the epoch.
 * @throws ConfigurationError for what concerns every record; what was done by then stays done.
 */
export async function redoLetters(
  runtime: Runtime,
  letters: readonly LetterRedo[],
  session: string,
  deadlineMs: number,
): Promise<RedoResult[]> {
  const control = await runtime.store.readControl();
  const keepGoing = (): boolean => runtime.clock.nowMs() < deadlineMs - DEADLINE_MARGIN_MS;
  const lane = new RedriveLane(session, 0);
  const results: RedoResult[] = [];
  const stuck = new Map<string, LetterResult>();
  for (const { name, action, places } of letters) {
    const key = readDeadLetterName(name)?.keyHash;
    const shared = [...(key === undefined ? [] : [`key ${key}`])];
    for (const place of Object.values(places ?? {})) shared.push(place.lane);
    const earlier = shared.map((each) => stuck.get(each)).find((each) => each !== undefined);
    // What was redriven once was not refused for the letters before it.
    const request = { action, names: [name], isForced: true, session };
    const work = new LetterWork(runtime, request, control, lane, keepGoing, name, places);
    const result = earlier === undefined ? await work.run() : waitsBehind(name, earlier);
    results.push({ ...result, hasNewPlaces: work.hasNewPlaces });
    if (!OVER.has(result.outcome)) lane.renew();
    if (!STUCK.has((earlier ?? result).outcome)) continue;
    for (const each of shared) stuck.set(each, earlier ?? result);
  }
  return results;
}

const OVER: ReadonlySet<LetterOutcome> = new Set(['redriven', 'dropped', 'alreadyDone', 'missing', 'stale']);

interface Group {
  readonly isOfKey: boolean;
  readonly names: string[];
}

/** Letters of one key, or of one shard where they have none: what is to be taken one after the other. */
function groupsOf(names: readonly string[]): Map<string, Group> {
  const groups = new Map<string, Group>();
  for (const name of new Set(names)) {
    const { keyHash, shard } = readDeadLetterName(name) ?? {};
    const owner = keyHash ?? `shard ${shard ?? ''}`;
    const group = groups.get(owner);
    if (group === undefined) groups.set(owner, { isOfKey: keyHash !== undefined, names: [name] });
    else group.names.push(name);
  }
  return groups;
}

function waitsBehind(name: string, { name: earlier, outcome }: LetterResult): LetterResult {
  return outcome === 'notBegun'
    ? { name, outcome }
    : { name, outcome: 'waiting', reason: `the letter ${earlier} of its key comes first` };
}
