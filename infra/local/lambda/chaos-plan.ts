import type { AwsService } from './aws-service.ts';

/** What can happen at one request of a function to an engine. Each says what the function must survive by it. */
export type RequestFault =
  /** The process dies with the request unsent: all before it happened, this did not. */
  | { readonly kind: 'killBeforeForward' }
  /** The process dies with the request done: it happened, and nobody remembers. */
  | { readonly kind: 'killBeforeReply' }
  /** The process dies between this request and the next: the reply was given, and perhaps not yet read. */
  | { readonly kind: 'killAfterReply' }
  /** The request takes effect and is answered with an error 500: the SDK sends it again. */
  | { readonly kind: 'failAfterEffect' }
  /** The request takes effect and its connection breaks: whether it did, nobody can tell. The SDK sends it again. */
  | { readonly kind: 'cutReply' }
  /**
   * The request takes effect and is never answered, as behind a host that is gone: the client's own limit has to end
   * the wait, and little of the invocation's time is left then.
   */
  | { readonly kind: 'hangReply' }
  /** The request is answered with the service's throttling error and takes no effect. */
  | { readonly kind: 'throttle' }
  /**
   * Of a request that is answered part by part (BatchExecuteStatement, PutRecords, BatchGetItem, BatchWriteItem)
   * every n-th part is throttled, inside a reply of success: later parts take effect before earlier ones. Another
   * request is throttled whole.
   */
  | { readonly kind: 'throttlePart'; readonly every: number; readonly offset: number }
  /**
   * As `throttlePart`, but the parts take effect and are reported as failed, since the service retries inside and
   * loses its own answer: a statement that is sent again meets its own write, and a record is in the stream twice.
   */
  | { readonly kind: 'failPartAfterEffect'; readonly every: number; readonly offset: number }
  /** The reply comes late, so that requests in parallel are done in another order. */
  | { readonly kind: 'delayReply'; readonly delayMs: number }
  /** A destination is throttled for a while: outputs that are committed wait, and the shard with them. */
  | { readonly kind: 'sinkRejects' }
  /** A destination is slow for a while: time runs short with outputs unpublished. */
  | { readonly kind: 'sinkIsSlow'; readonly delayMs: number }
  /**
   * The process stands still for a while and goes on, as a host that is short of processors has it: timers fire all at
   * once, deadlines are nearer than it thinks, and what it believes to know may be old.
   */
  | { readonly kind: 'freeze'; readonly freezeMs: number }
  /**
   * The process stands still until Lambda has told the caller that it timed out, and wakes up when so many further
   * invocations are over: a zombie past its deadline, whom everybody takes for dead.
   */
  | { readonly kind: 'freezeBeyondTimeout'; readonly resumeAfterInvocations: number }
  /** The process stands still until Lambda ends it at the function's timeout: the slowest of all deaths. */
  | { readonly kind: 'timeOut' }
  /**
   * The caller of the invocation is told that it failed, while the process goes on: a zombie. This request waits
   * until so many further invocations of the function are over; 0 goes on at once, beside its successor.
   */
  | { readonly kind: 'becomeZombie'; readonly resumeAfterInvocations: number };

/** What can happen when the handler has answered. */
export type AnswerFault =
  /** The process dies before its answer counts: everything was done, nothing was acknowledged. */
  | { readonly kind: 'killBeforeAnswer' }
  /** The caller is told that the invocation failed; the environment stays. */
  | { readonly kind: 'loseAnswer' };

export type FaultKind = RequestFault['kind'] | AnswerFault['kind'];

export type FaultCounts = Record<FaultKind, number>;

export function noFaults(): FaultCounts {
  return {
    killBeforeForward: 0,
    killBeforeReply: 0,
    killAfterReply: 0,
    failAfterEffect: 0,
    cutReply: 0,
    hangReply: 0,
    throttle: 0,
    throttlePart: 0,
    failPartAfterEffect: 0,
    delayReply: 0,
    sinkRejects: 0,
    sinkIsSlow: 0,
    freeze: 0,
    freezeBeyondTimeout: 0,
    timeOut: 0,
    becomeZombie: 0,
    killBeforeAnswer: 0,
    loseAnswer: 0,
  };
}

/** Where a fault can strike. Numbers count from 1. */
export interface RequestPoint {
  readonly functionName: string;
  /** Number of the invocation among those of its function, in the order in which they began. */
  readonly invocation: number;
  /** Number of the request among those of the invocation, in the order of their arrival. */
  readonly request: number;
  readonly service: AwsService;
  /** `UpdateItem`, `PutRecords`, …; for S3 the HTTP method. */
  readonly operation: string;
  /** Number of the request among all those of the function to the service, over all invocations. */
  readonly ofService: number;
}

export type AnswerPoint = Pick<RequestPoint, 'functionName' | 'invocation'>;

/**
 * Decides where what goes wrong. A plan that depends on nothing but the point decides the same however requests of
 * several functions are interleaved.
 */
export interface ChaosPlan {
  onRequest(point: RequestPoint): RequestFault | undefined;
  onAnswer(point: AnswerPoint): AnswerFault | undefined;
  /** After so many faults in one function nothing more goes wrong there: a run comes to its end. */
  readonly maximumFaultsPerFunction: number;
}
