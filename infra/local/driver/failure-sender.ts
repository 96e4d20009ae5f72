import type { MappingAction } from '../../../shared/mapping/mapping-action.ts';

export type FailureDelivery = Extract<MappingAction, { kind: 'sendOnFailure' }>;

/** Delivers on-failure documents. Rejects when it could not. */
export interface FailureSender {
  send(delivery: FailureDelivery): Promise<void>;
}
