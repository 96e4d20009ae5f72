/**
 * What can go wrong in a simulated world, each with the reason why the system must survive it. The number is how often
 * it may happen in a run: every run's faults end, so that everything must drain.
 */
export const FAULTS = {
  /** Lambda may end the process at any moment: memory, a host that fails, a deployment. */
  crashBeforeEffect: 'the process dies with a request on its way that never arrives',
  /** The request arrived; whoever sent it will never know. */
  crashAfterEffect: 'the process dies after a request took effect, before its answer',
  /** TCP delivers what was sent also for a sender that is dead. */
  lateEffect: 'a request of a dead process takes effect much later',
  /** A connection breaks after the server has worked: the SDK reports a failure of what succeeded. */
  lostAnswer: 'a request takes effect and its answer is lost',
  /** The SDK sends a request again when its answer is lost; the second answer is about the second effect. */
  repeatedRequest: 'a request takes effect twice, as the SDK repeats it',
  /** Services answer 500, 503 and throttle. */
  refusedRequest: 'a request fails without effect',
  /** A single statement of a batch is throttled inside HTTP 200. */
  refusedWrite: 'one write of a request fails without effect',
  /** The statement's write is done and its error is the transaction's of another. */
  lostWriteAnswer: 'one write of a request takes effect and is reported as failed, or as a conflict',
  /** A partition takes 1,000 write units a second: one hot item can be refused for long while others go on. */
  throttledItem: 'an item cannot be written for a while',
  /** PutRecords fails record by record inside HTTP 200. */
  refusedDelivery: 'one delivery of a request fails without effect',
  /** A record is stored, and the answer says that it failed. */
  lostDeliveryAnswer: 'one delivery of a request is stored and reported as failed',
  /** A shard of the sink's stream takes 1 MB a second: the keys of one shard are refused while others go on. */
  throttledDestination: 'a destination key takes nothing for a while',
  /** Latency has a long tail. Near the deadline it decides between an answer and a timeout. */
  slowRequest: 'a request takes seconds',
  /** A poller that moves to another host does not wait for the invocations of the old one. */
  abandoned: 'the mapping gives an invocation up, which goes on as a zombie',
  /** A container is frozen between and, on a host in trouble, in the middle of invocations, for minutes. */
  frozen: 'a process is frozen and goes on later as if nothing had been',
  /** Delivery is at least once: two pollers may overlap. */
  duplicated: 'a batch is delivered a second time beside the first, cut shorter or longer',
  /** A poller that restarts goes on from its last checkpoint: batches come again, with new boundaries. */
  restartedMapping: 'the mapping restarts from what it last kept',
  /** Listings are eventually consistent. */
  staleListing: 'a listing of shards lacks the newest',
  /** Clocks of two hosts differ, and are set. */
  clockJump: "a process' clock jumps by up to the allowance",
  /** Lambda starts containers as it likes: what is cached is not what the shard's last batch left. */
  movedContainer: 'the next batch goes to another container, warm or cold',
} as const;

export type Fault = keyof typeof FAULTS;
export type FaultBudget = Readonly<Record<Fault, number>>;

export const NO_FAULTS: FaultBudget = Object.freeze(
  Object.fromEntries(Object.keys(FAULTS).map((fault) => [fault, 0])),
) as FaultBudget;

/** Decides from a seed when which fault happens. */
export class FaultPlan {
  readonly #left: Record<Fault, number>;
  readonly #random: () => number;
  readonly #likelier: number;
  readonly happened: Partial<Record<Fault, number>> = {};

  /** @param likelier how many times likelier each fault is than where it is asked for. */
  constructor(budget: FaultBudget, random: () => number, likelier = 1) {
    this.#left = { ...budget };
    this.#random = random;
    this.#likelier = likelier;
  }

  /** Whether the fault happens now. @param probability how likely it is while some are left. */
  strikes(fault: Fault, probability: number): boolean {
    if (this.#left[fault] <= 0 || this.#random() >= probability * this.#likelier) return false;
    this.#left[fault] -= 1;
    this.happened[fault] = (this.happened[fault] ?? 0) + 1;
    return true;
  }

  /** How much has gone wrong so far. */
  get total(): number {
    return Object.values(this.happened).reduce((sum, count) => sum + count, 0);
  }

  /** So much more may go wrong. */
  add(budget: FaultBudget): void {
    for (const fault of Object.keys(this.#left) as Fault[]) this.#left[fault] += budget[fault];
  }

  /** From here on nothing goes wrong any more. */
  end(): void {
    for (const fault of Object.keys(this.#left) as Fault[]) this.#left[fault] = 0;
  }
}
