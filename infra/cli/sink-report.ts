import Table from 'cli-table3';
import type { Document } from '../../shared/state/document.ts';
import { formatted } from './progress-display.ts';
import { fieldsOf, resultsTable, textOf } from './results-table.ts';
import type { SinkTable } from './sink-tables.ts';
import type { KeyState } from './state-lines.ts';

const KEYS_SHOWN = 10;
const WINDOWS_SHOWN = 24;
const BARS = ' ▁▂▃▄▅▆▇█';
const MINUTES = 'YYYY-MM-DDTHH:MM'.length;

/** One result of a window, as a table holds it. */
interface WindowRow {
  readonly key: string;
  readonly start: number;
  readonly end: number;
  readonly fields: ReadonlyMap<string, Document>;
}

/** What stands in a table, in short: results of windows by their keys, each with its last windows as a small chart. */
export function sinkReport({ name, rows }: SinkTable, isColoured: boolean): string {
  const title = `Table ${name}: ${formatted(rows.length)} ${rows.length === 1 ? 'item' : 'items'}.`;
  if (rows.length === 0) return title;
  const windows = rows.map(windowRowOf);
  const isOfWindows = (all: readonly (WindowRow | undefined)[]): all is readonly WindowRow[] =>
    !all.includes(undefined);
  if (isOfWindows(windows)) return `${windowTable(windows, isColoured)}\n${title}`;
  return `${resultsTable(rows, isColoured, 'item')}\n${title}`;
}

function windowRowOf({ state }: KeyState): WindowRow | undefined {
  const whole = fieldsOf(state);
  const key = whole.get('key');
  const bounds = fieldsOf(whole.get('window') ?? null);
  const [start, end] = [bounds.get('start'), bounds.get('end')];
  if (typeof key !== 'string' || typeof start !== 'number' || typeof end !== 'number') return undefined;
  return { key, start, end, fields: fieldsOf(whole.get('value') ?? null) };
}

function windowTable(rows: readonly WindowRow[], isColoured: boolean): string {
  const measure = measureOf(rows);
  const weightOf = (row: WindowRow): number => {
    const value = row.fields.get(measure);
    return typeof value === 'number' ? value : 1;
  };
  const starts = [...new Set(rows.map(({ start }) => start))].sort((a, b) => a - b).slice(-WINDOWS_SHOWN);
  const byKey = new Map<string, WindowRow[]>();
  for (const row of rows) byKey.set(row.key, [...(byKey.get(row.key) ?? []), row]);
  const keys = [...byKey].map(([key, own]) => ({
    key,
    own,
    total: own.reduce((sum, row) => sum + weightOf(row), 0),
    largest: Math.max(...own.map(weightOf)),
  }));
  const shown = keys.toSorted((a, b) => b.total - a.total || (a.key < b.key ? -1 : 1)).slice(0, KEYS_SHOWN);
  const scale = Math.max(...shown.map(({ largest }) => largest));
  const table = new Table({
    head: ['key', 'windows', `${measure}, largest`, `${measure}, last ${starts.length} windows`],
    colAligns: ['left', 'right', 'right', 'left'],
    style: { compact: true, head: isColoured ? ['bold'] : [], border: isColoured ? ['gray'] : [] },
  });
  for (const { key, own, largest } of shown) {
    const byStart = new Map(own.map((row) => [row.start, weightOf(row)]));
    const chart = starts.map((start) => barOf(byStart.get(start), scale)).join('');
    table.push([textOf(key), formatted(own.length), textOf(largest), chart]);
  }
  const [first = 0, last = 0] = [starts[0], starts.at(-1)];
  const more = keys.length > shown.length ? `; ${formatted(keys.length - shown.length)} more keys` : '';
  return (
    `${table.toString()}\n` +
    `By ${measure} of all windows; those shown begin from ${minuteOf(first)} to ${minuteOf(last)} UTC${more}.`
  );
}

/** Of the whole numbers in all rows the one that counts most. */
function measureOf(rows: readonly WindowRow[]): string {
  const totals = new Map<string, number>();
  for (const name of rows[0]?.fields.keys() ?? []) {
    const values = rows.map(({ fields }) => fields.get(name));
    if (!values.every((value) => Number.isInteger(value))) continue;
    totals.set(
      name,
      (values as number[]).reduce((sum, value) => sum + value, 0),
    );
  }
  const [[name] = ['result']] = [...totals].sort(([, a], [, b]) => b - a);
  return name;
}

function barOf(value: number | undefined, scale: number): string {
  if (value === undefined || !(value > 0)) return BARS.charAt(0);
  return BARS.charAt(Math.max(1, Math.round((value / scale) * (BARS.length - 1))));
}

function minuteOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, MINUTES);
}
