import type { CommonSpan } from './common-span.ts';
import type { LoneTimerOutput, Matching } from './match-outputs.ts';
import { placeOf, type OutputPlace } from './output-place.ts';
import type { SinkRow } from './sink-rows.ts';
import type { Tally } from './tally.ts';

/** Names of a sink's two ends. */
export interface Ends {
  readonly pipelines: { readonly old: string; readonly new: string };
  readonly sinks: { readonly old: string; readonly new: string };
}

/** The partition key under which the other pipeline has what this row has: of a table by output id, the other's id. */
export function twinKeyOf(row: SinkRow, from: 'old' | 'new', { pipelines, sinks }: Ends): string {
  if (row.pk !== row.id) return row.pk;
  const place = placeOf(pipelines[from], row.id);
  if (place === undefined) return row.pk;
  const to = from === 'old' ? 'new' : 'old';
  const { lane, position, element, index } = place;
  return `${pipelines[to]}/${lane}/${position.sequence}/${position.sub}/${element}/${sinks[to]}/${index}`;
}

/** A row's place; `undefined` where something else wrote it. */
type Placed = { readonly row: SinkRow; readonly place: OutputPlace } | undefined;

/**
 * Compares what one key of a sink's table holds in both. It can be compared where neither row is of a record that the
 * other pipeline has not come to: then each is the last that its pipeline made.
 * @returns `apart` where that is not so; what a timer made in one alone, which the key's items tell more of.
 */
export function matchRows(
  old: SinkRow | undefined,
  now: SinkRow | undefined,
  { pipelines }: Ends,
  { span, isSettled }: Pick<Matching, 'span' | 'isSettled'>,
  tally: Tally,
): 'done' | 'apart' | LoneTimerOutput {
  const [a, b] = [placed(old, pipelines.old), placed(now, pipelines.new)];
  if (a === undefined && b === undefined) return 'done';
  const key = ((a ?? b) as NonNullable<Placed>).row.pk;
  const compare = (): 'done' => {
    tally.compare(key, a?.row.value, b?.row.value, (a ?? b)?.place.tail);
    return 'done';
  };
  if (a !== undefined && b !== undefined && a.place.tail === b.place.tail) return compare();
  if (a?.place.timer !== undefined || b?.place.timer !== undefined) return matchTimers(a, b, key, compare);
  const [oldSide, newSide] = [sideOf(a, span), sideOf(b, span)];
  if (oldSide === 'beyond' || newSide === 'beyond') return 'apart';
  // The fork's table begins with what comes behind the fork.
  if (newSide === 'none' && oldSide === 'inherited') return 'done';
  const isOneMissing = a === undefined || b === undefined;
  // Several state items replace each other's values as they come, in no order.
  const isMixed = !isOneMissing && a.row.source !== b.row.source;
  if (isMixed || (isOneMissing && !isSettled)) {
    tally.open += 1;
    return 'done';
  }
  return compare();
}

function matchTimers(a: Placed, b: Placed, key: string, compare: () => 'done'): 'done' | LoneTimerOutput {
  const [oldMs, newMs] = [a?.place.timer?.dueMs, b?.place.timer?.dueMs];
  // The operator's place may differ.
  if (oldMs === newMs && a?.place.lane === b?.place.lane) return compare();
  const side = (oldMs ?? -Infinity) > (newMs ?? -Infinity) ? 'old' : 'new';
  const { row, place } = (side === 'old' ? a : b) as NonNullable<Placed>;
  return { side, output: { place, key, value: row.value, arrivalMs: 0 }, stateKey: stateKeyOf(row.source) };
}

function placed(row: SinkRow | undefined, pipeline: string): Placed {
  const place = row && placeOf(pipeline, row.id);
  return row && place && { row, place };
}

function sideOf(row: Placed, span: CommonSpan): 'none' | ReturnType<CommonSpan['sideOf']> {
  return row === undefined ? 'none' : span.sideOf(row.place.lane, row.place.position);
}

function stateKeyOf(source: string): string | undefined {
  return source.startsWith('s/') ? source.slice('s/'.length) : undefined;
}
