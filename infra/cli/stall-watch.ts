import type { ShardStatus } from '../../shared/mapping/mapping-status.ts';

/** How long nothing is acknowledged before a person is told. A killed batch comes again within seconds. */
const STALL_MS = 20_000;
/** How often the person is told again. */
const REMINDER_MS = 60_000;

/** Notices that records wait and none is acknowledged: a shard that waits in front of a record waits without an end. */
export class StallWatch {
  readonly #say: (text: string) => void;
  /** What functions last complained of. */
  readonly #complaint: () => string | undefined;
  #acknowledged = '';
  #sinceMs: number | undefined;
  #toldMs = -Infinity;

  constructor(say: (text: string) => void, complaint: () => string | undefined) {
    this.#say = say;
    this.#complaint = complaint;
  }

  /** To be called every second or so. */
  look(shards: readonly ShardStatus[], nowMs: number): void {
    const acknowledged = shards.map(({ lastAcknowledged }) => lastAcknowledged ?? '').join();
    const waiting = shards.reduce((sum, shard) => sum + shard.queuedRecords + shard.inFlightRecords, 0);
    if (waiting === 0 || acknowledged !== this.#acknowledged || this.#sinceMs === undefined) {
      this.#acknowledged = acknowledged;
      this.#sinceMs = nowMs;
      return;
    }
    if (nowMs - this.#sinceMs < STALL_MS || nowMs - this.#toldMs < REMINDER_MS) return;
    this.#toldMs = nowMs;
    const seconds = Math.round((nowMs - this.#sinceMs) / 1_000);
    const complaint = this.#complaint();
    this.#say(
      `For ${seconds} s nothing was acknowledged while ${waiting} records wait; ` +
        (complaint === undefined
          ? 'the function says nothing about it (--verbose shows its log).'
          : `the function last said: ${complaint}`),
    );
  }
}
