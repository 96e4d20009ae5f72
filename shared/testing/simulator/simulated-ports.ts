import type { DeadLetterStore } from '../../output/dead-letter-store.ts';
import { readDeadLetterName } from '../../output/dead-letter-name.ts';
import { envelopeJson } from '../../output/envelope.ts';
import { partitionKeyOf } from '../../output/kinesis-sink.ts';
import type { MemoryDeadLetterStore } from '../../output/memory-dead-letters.ts';
import type { Delivery, SinkPort } from '../../output/sink-port.ts';
import type { Sink } from '../../pipeline/definition.ts';
import type { SourceLanes } from '../../time/source-lanes.ts';
import { ReplayShardRecords } from '../../checkpoint/replay-shard-records.ts';
import type { LookupPort } from '../../lookup/lookup-port.ts';
import type { ShardRecords } from '../../source/shard-records.ts';
import { hashRange, type HashRange, type ShardRanges } from '../../source/shard-ranges.ts';
import type { BlobStore } from '../../state/blob-store.ts';
import type { MemoryBlobStore } from '../../state/memory-blob-store.ts';
import type { MemoryStateStore } from '../../state/memory-state-store.ts';
import { blobName, unpackBlob } from '../../state/spilled-states.ts';
import { generationOf } from '../../state/row-key.ts';
import { SpillingStateStore } from '../../state/spilling-state-store.ts';
import type { StateItem } from '../../state/state-item.ts';
import type { CommitResult, ItemWrite, StateStore } from '../../state/state-store.ts';
import type { Checker } from './checker.ts';
import type { MemoryStream } from './memory-stream.ts';
import type { Invocation } from './simulated-process.ts';
import { simulatedReader } from './simulated-reader.ts';
import type { World } from './world.ts';

/** What a pipeline has outside of its processes, and who watches it. */
export interface PipelineResources {
  /** Of the pipeline. */
  readonly name: string;
  readonly stream: MemoryStream;
  readonly store: MemoryStateStore;
  readonly blobs: MemoryBlobStore;
  readonly letters: MemoryDeadLetterStore;
  readonly closedLetters: MemoryDeadLetterStore;
  readonly checker: Checker;
  /** With a repartition each half has its checker: that of the half whose shard this is; of the back for none. */
  readonly checkerOf: (shard: string | undefined) => Checker;
  /** By sink: the stream that it feeds; a sink without one is only watched. */
  readonly sinkStreams: ReadonlyMap<string, MemoryStream>;
  /** Deliveries that a sink takes in a request. */
  readonly sinkRequestSize: number;
  /** In which the pipeline looks rows up. */
  readonly tables: LookupPort;
  /** A function with parallel lanes has begun a batch, and so has noted them. */
  readonly onLanesNoted: () => void;
}

type Io = <T>(call: string, effect: () => Promise<T>) => Promise<T>;

/** The ports of one process: each request may go wrong, and each effect is shown to the checker as it happens. */
export class SimulatedPorts {
  readonly store: StateStore;
  /** What a sweep works on: items as they are stored, and the objects that they point to. */
  readonly spilled: { readonly store: StateStore; readonly blobs: BlobStore };
  readonly deadLetters: DeadLetterStore;
  readonly closedLetters: DeadLetterStore;
  readonly shardRanges: ShardRanges;
  readonly shardRecords: ShardRecords;
  readonly lookups: LookupPort;
  readonly lanes: SourceLanes;
  readonly #world: World;
  readonly #resources: PipelineResources;
  readonly #io: Io;
  readonly #invocation: () => Invocation | undefined;

  /** @param io one request of the process. @param invocation what the process is busy with. */
  constructor(world: World, resources: PipelineResources, io: Io, invocation: () => Invocation | undefined) {
    this.#world = world;
    this.#resources = resources;
    this.#io = io;
    this.#invocation = invocation;
    this.spilled = { store: this.#faultyStore(), blobs: this.#faultyBlobs() };
    this.store = new SpillingStateStore(this.spilled);
    this.deadLetters = this.#faultyLetters();
    this.closedLetters = {
      put: (name, letter) => io('putClosedLetter', () => resources.closedLetters.put(name, letter)),
      get: (name) => io('getClosedLetter', () => resources.closedLetters.get(name)),
      remove: (name) => io('removeClosedLetter', () => resources.closedLetters.remove(name)),
      list: (prefix) => resources.closedLetters.list(prefix),
    };
    this.shardRanges = {
      rangeOf: (_, shardId) => io('rangeOf', async () => rangeOf(resources.stream, shardId)),
    };
    const { stream, tables } = resources;
    this.lookups = {
      get: (...given) => io('lookup', () => tables.get(...given)),
      all: (...given) => io('lookup', () => tables.all(...given)),
    };
    const reread = new ReplayShardRecords({
      reader: ({ shardId }, from) => simulatedReader(world, stream, shardId, from, io),
    });
    this.shardRecords = {
      from: async (...given) => {
        const batch = await reread.from(...given);
        const running = invocation();
        if (batch !== undefined && running !== undefined) running.reread = batch.records;
        return batch;
      },
    };
    this.lanes = {
      lanes: () =>
        io('lanes', async () => {
          const lanes = stream.lanes(world.time.nowMs);
          const { parents = [] } = lanes.at(-1) ?? {};
          // It lacks the newest shard, or the other of a split too; those that a stream began with are long known.
          if (parents.length > 0 && world.faults.strikes('staleListing', 0.1)) {
            lanes.pop();
            const isSplit = parents.length === 1 && lanes.at(-1)?.parents.join() === parents.join();
            if (isSplit && world.random() < 0.5) lanes.pop();
          }
          return lanes;
        }),
      behind: (shard, position) =>
        io('behind', async () => {
          const found = stream.behind(shard, position?.sequence, world.time.nowMs);
          if (found !== 'records') resources.checker.time?.provenIdle(shard, position);
          return found;
        }),
    };
  }

  #faultyStore(): StateStore {
    const { store, checker, onLanesNoted } = this.#resources;
    const io = this.#io;
    return {
      load: (pks) => io('load', () => store.load(pks)),
      commit: async (writes) => {
        const requests = this.#requests(writes);
        const answers = await Promise.all(requests.map((request) => this.#commit(request)));
        return answers.flat();
      },
      readControl: (...given) => io('readControl', () => store.readControl(...given)),
      beginAttempt: (generation, shard, first, handedIn) =>
        io('beginAttempt', () => {
          const running = this.#invocation();
          if (handedIn === undefined) {
            onLanesNoted();
            if (running !== undefined) running.reread = undefined;
          }
          return store.beginAttempt(generation, shard, first, handedIn);
        }),
      partLanes: (...given) => io('partLanes', () => store.partLanes(...given)),
      createProgress: (generation, shard, given) =>
        io('createProgress', async () => {
          const result = await store.createProgress(generation, shard, given);
          if (result === 'created' && given?.liftedMs !== undefined)
            checker.at(generation).time?.lifted(shard, undefined, given.liftedMs);
          return result;
        }),
      readProgress: (...given) => io('readProgress', () => store.readProgress(...given)),
      suspect: (...given) => io('suspect', () => store.suspect(...given)),
      advance: (generation, shard, advance) =>
        io('advance', async () => {
          const result = await store.advance(generation, shard, advance);
          if (result === 'advanced')
            checker.at(generation).advanced(shard, advance, store.progress(generation, shard));
          return result;
        }),
      liftTime: (generation, shard, position, liftedMs) =>
        io('liftTime', async () => {
          const isLifted = await store.liftTime(generation, shard, position, liftedMs);
          if (isLifted) checker.at(generation).time?.lifted(shard, position, liftedMs);
          return isLifted;
        }),
      due: async function* (...given) {
        const pages = await io('due', async () => {
          const all: (readonly string[])[] = [];
          for await (const page of store.due(...given)) all.push(page);
          return all;
        });
        yield* pages;
      },
      costs: () => store.costs(),
    };
  }

  #faultyBlobs(): BlobStore {
    const { name: pipeline, store, blobs, checker } = this.#resources;
    const io = this.#io;
    return {
      put: (name, bytes) => io('putBlob', () => blobs.put(name, bytes)),
      get: (name, firstBytes) => io('getBlob', () => blobs.get(name, firstBytes)),
      remove: (name) =>
        io('removeBlob', async () => {
          for (const { pk, spilled } of store.items().values()) {
            if (spilled === undefined || blobName(pk, spilled) !== name) continue;
            checker.violations.push(`I1 [${pipeline}] ${name} is removed, and ${pk} points to it`);
          }
          await blobs.remove(name);
        }),
      list: (after) => io('listBlobs', () => blobs.list(after)),
    };
  }

  /** A store writes 25 items to a request and sends requests in parallel: other invocations' writes come between. */
  #requests(writes: readonly ItemWrite[]): readonly ItemWrite[][] {
    const requests: ItemWrite[][] = [];
    for (const write of writes) {
      if (requests.length === 0 || this.#world.random() < 0.3) requests.push([write]);
      else requests.at(-1)?.push(write);
    }
    return requests;
  }

  async #commit(request: readonly ItemWrite[]): Promise<CommitResult[]> {
    const { faults, random } = this.#world;
    const { name, store } = this.#resources;
    const running = this.#invocation();
    const records = running?.reread ?? running?.records ?? [];
    try {
      return await this.#io('commit', async () => {
        const results: CommitResult[] = [];
        for (const write of request) {
          const { pk } = write.item;
          if (
            this.#world.isThrottled(`${name} ${pk}`, 'throttledItem') ||
            faults.strikes('refusedWrite', 0.1)
          ) {
            results.push('failed');
            continue;
          }
          const [result] = await store.commit([write]);
          if (result === 'committed' && running !== undefined) {
            this.#world.tell(`  commit ${pk} ${write.item.revision}`);
            const whole = wholeItem(this.#resources, write.item);
            const generation = generationOf(pk);
            const judge = this.#resources.checkerOf(laneOfItem(pk)).at(generation);
            if (running.restores !== undefined) judge.restored(whole, running.restores);
            else if (running.request === undefined) judge.committed(whole, records, running.shard);
            else judge.redriven(whole, running.request);
          }
          if (faults.strikes('lostWriteAnswer', 0.1)) results.push(random() < 0.5 ? 'failed' : 'conflict');
          else results.push(result as CommitResult);
        }
        return results;
      });
    } catch {
      // A store never throws for a request's failure: each of its writes is in doubt.
      return request.map(() => 'failed');
    }
  }

  sink(sink: Sink): SinkPort {
    const { faults, random } = this.#world;
    const { name, checker, sinkRequestSize, sinkStreams } = this.#resources;
    const stream = sinkStreams?.get(sink.name);
    return {
      maximumDeliveries: sinkRequestSize,
      maximumBytes: 1_000_000,
      deliver: (deliveries) =>
        this.#io(`deliver ${sink.name}`, async () => {
          const results = deliveries.map(() => true);
          // PutRecords keeps no order inside a request.
          const places = deliveries.map((_, place) => [random(), place] as const).sort(([a], [b]) => a - b);
          for (const [, place] of places) {
            const delivery = deliveries[place] as Delivery;
            const target = `${name} ${sink.name} ${delivery.destinationKey}`;
            if (
              this.#world.isThrottled(target, 'throttledDestination') ||
              faults.strikes('refusedDelivery', 0.15)
            ) {
              results[place] = false;
              continue;
            }
            this.#world.tell(`  deliver ${delivery.id}`);
            checker.at(delivery.pk === '' ? 1 : generationOf(delivery.pk)).delivered(sink.name, delivery);
            if (stream !== undefined) {
              const data = Buffer.from(envelopeJson(name, delivery)).toString('base64');
              this.#world.put(stream, partitionKeyOf(delivery.destinationKey), data);
            }
            if (faults.strikes('lostDeliveryAnswer', 0.15)) results[place] = false;
          }
          return results;
        }),
    };
  }

  #faultyLetters(): DeadLetterStore {
    const { letters: store, checkerOf } = this.#resources;
    const io = this.#io;
    const checkerOfLetter = (name: string): Checker => {
      const { shard, generation = 1 } = readDeadLetterName(name) ?? {};
      return checkerOf(shard).at(generation);
    };
    return {
      put: (name, letter) =>
        io('putLetter', async () => {
          await store.put(name, letter);
          checkerOfLetter(name).letterStored(name, letter);
        }),
      get: (name) => io('getLetter', () => store.get(name)),
      remove: (name) =>
        io('removeLetter', async () => {
          await store.remove(name);
          // Letters of a generation that was left say nothing any more: operators drop them.
          const { generation } = await this.#resources.store.readControl();
          if (readDeadLetterName(name)?.generation === generation) checkerOfLetter(name).letterRemoved(name);
        }),
      list: (prefix) => store.list(prefix),
    };
  }
}

/** The item with its states, wherever they are. */
export function wholeItem({ name: pipeline, blobs, checker }: PipelineResources, item: StateItem): StateItem {
  const { pk, spilled } = item;
  if (spilled === undefined) return item;
  const name = blobName(pk, spilled);
  const blob = blobs.bytes(name);
  if (blob !== undefined) return { ...item, states: unpackBlob(blob, pk, spilled) };
  checker.violations.push(`I1 [${pipeline}] ${pk} points to ${name}, which is not there`);
  return item;
}

/** The lane of a shard's own item; `undefined` for a key's. */
export function laneOfItem(pk: string): string | undefined {
  return /^\d+\/d\/(.*)$/s.exec(pk)?.[1];
}

/** Both ends as 32 hexadecimal digits. */
function rangeOf(stream: MemoryStream, shardId: string): HashRange {
  const shard = stream.shards.find((each) => each.shardId === shardId);
  if (shard === undefined) throw new Error(`There is no shard ${shardId}.`);
  return hashRange(String(shard.startingHashKey), String(shard.endingHashKey));
}
