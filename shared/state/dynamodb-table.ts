import type { DynamoDBClient, TransactionCanceledException } from '@aws-sdk/client-dynamodb';
import type { CostCounter } from './cost-counter.ts';

/** What every request of the DynamoDB store needs. */
export interface DynamoDbTable {
  readonly client: DynamoDBClient;
  readonly name: string;
  /** Waits, in milliseconds. */
  readonly delay: (ms: number) => Promise<void>;
  readonly costs: CostCounter;
  /** Told of each failure that a result alone would hide, such as the reason of a `failed`: for logs. */
  readonly onFailure: (error: Error) => void;
}

/** Requests of one call that are under way at once; the SDK has 50 sockets for all calls. */
export const MAX_REQUESTS_IN_FLIGHT = 16;

/** How often what was throttled is sent in all. With the pauses below this takes under a second. */
export const MAX_SENDS = 6;

const FIRST_PAUSE_MS = 25;

/**
 * The pause before a repetition, doubling each time. So that containers do not come back in step, each waits between
 * half of it and all of it, by a hash of what it asks for: the spread needs no chance, and a test sees the same twice.
 */
export function pauseMs(repetition: number, pk: string): number {
  let hash = 0;
  for (let at = 0; at < pk.length; at++) hash = (hash * 31 + pk.charCodeAt(at)) % 1_000_003;
  return Math.round(FIRST_PAUSE_MS * 2 ** (repetition - 1) * (0.5 + hash / 2_000_006));
}

const REFUSALS = new Set([
  'AccessDenied',
  'AccessDeniedException',
  'ResourceNotFound',
  'ResourceNotFoundException',
  'UnknownOperationException',
  'ValidationError',
  'ValidationException',
]);

/** Whether an error code says that the request is wrong, so that nothing was done and no repetition can help. */
export function isRefusal(code: string): boolean {
  return REFUSALS.has(code);
}

export function isConditionFailure(error: unknown): boolean {
  return error instanceof Error && error.name === 'ConditionalCheckFailedException';
}

/** Why each action of a transaction was not done; `undefined` for any other error. */
export function cancellationCodes(error: unknown): readonly (string | undefined)[] | undefined {
  if (!(error instanceof Error) || error.name !== 'TransactionCanceledException') return undefined;
  return ((error as TransactionCanceledException).CancellationReasons ?? []).map(({ Code }) => Code);
}

export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
