import { comparePositions, type Position } from '../../shared/source/position.ts';
import type { TimeDomain } from '../../shared/pipeline/definition.ts';
import { isProcessingLane, isTimerLane } from '../../shared/source/lane.ts';

/** What an output's id says, but for the pipeline: where it was made. */
export interface OutputPlace {
  /** The id from the shard on, without the sink: what a pipeline and its fork have in common. */
  readonly tail: string;
  readonly sink: string;
  /** Of a record: its shard and position there. Of a timer: its key's hash and the due time, with the operator's place. */
  readonly lane: string;
  readonly position: Position;
  readonly element: number;
  readonly index: number;
  /** Present where a timer made it: when that was due, milliseconds since the epoch, and by which time. */
  readonly timer?: { readonly keyHash: string; readonly dueMs: number; readonly domain: TimeDomain };
}

const BEHIND_PIPELINE = /^([^/]+\/[^/]+)\/(-?\d+)\/(\d+)\/(\d+)\/([^/]+)\/(\d+)$/;

/** @returns `undefined` where it is no id of the pipeline's. */
export function placeOf(pipeline: string, id: string): OutputPlace | undefined {
  if (!id.startsWith(`${pipeline}/`)) return undefined;
  const found = BEHIND_PIPELINE.exec(id.slice(pipeline.length + 1));
  if (found === null) return undefined;
  const [, lane = '', sequence = '', sub = '', element = '', sink = '', index = ''] = found;
  return {
    tail: `${lane}/${sequence}/${sub}/${element}/${index}`,
    sink,
    lane,
    position: { sequence, sub: Number(sub) },
    element: Number(element),
    index: Number(index),
    ...(isTimerLane(lane) && {
      timer: {
        keyHash: lane.slice(lane.indexOf('/') + 1),
        dueMs: Number(sequence),
        domain: isProcessingLane(lane) ? 'processing' : 'event',
      },
    }),
  };
}

/** The order of two outputs of one lane. */
export function comparePlaces(a: OutputPlace, b: OutputPlace): number {
  return comparePositions(a.position, b.position) || a.element - b.element || a.index - b.index;
}
