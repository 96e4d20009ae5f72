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
  /** The request is answered with the service's throttling error and takes no effect. */
  | { readonly kind: 'throttle' }
  /**
   * Of a request that is answered part by part (BatchExecuteStatement, PutRecords, BatchGetItem, BatchWriteItem)
   * every n-th part is throttled, inside a reply of success: later parts take effect before earlier ones. Another
   * request is throttled whole.
   */
  | { readonly kind: 'throttlePart'; readonly every: number; readonly offset: number }
  /** The reply comes late, so that requests in parallel are done in another order. */
  | { readonly kind: 'delayReply'; readonly delayMs: number }
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
    throttle: 0,
    throttlePart: 0,
    delayReply: 0,
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
