import Table from 'cli-table3';
import type { Document } from '../../shared/state/document.ts';
import type { KeyState } from './state-lines.ts';

const ROWS_SHOWN = 15;
const CELL_CHARACTERS = 30;
const KEY_CHARACTERS = 44;
/** Names that come from the data are no columns: those of many fields, and the times of windows. */
const COLUMNS_SHOWN = 8;
const BAR_CHARACTERS = 12;
const TIME_PATTERN = /^\d{4}-\d\d-\d\dT\d\d:/;

/**
 * A table of keys and the top-level fields of their states, the largest of the first numeric field first.
 * @param isColoured whether the terminal takes colours.
 * @param what `item`s of a table have a bar for that field, and where their keys begin with a time the newest are shown.
 */
export function resultsTable(
  states: readonly KeyState[],
  isColoured: boolean,
  what: 'key' | 'item' = 'key',
): string {
  if (states.length === 0) return 'No key has a state.';
  let rows = states.map(({ key, state }) => ({ key, fields: fieldsOf(state) }));
  let names = [...new Set(rows.flatMap(({ fields }) => [...fields.keys()]))];
  if (names.length > COLUMNS_SHOWN || names.some((name) => /^\d/.test(name))) {
    names = ['state'];
    rows = states.map(({ key, state }) => ({ key, fields: new Map([['state', state]]) }));
  }
  const isByTime = what === 'item' && rows.every(({ key }) => TIME_PATTERN.test(key));
  if (isByTime) rows.sort((a, b) => (a.key < b.key ? 1 : -1));
  const sortName = isByTime
    ? undefined
    : names.find((name) => rows.some(({ fields }) => typeof fields.get(name) === 'number'));
  const weight = (fields: ReadonlyMap<string, Document>): number => {
    const value = sortName === undefined ? undefined : fields.get(sortName);
    return typeof value === 'number' ? value : -Infinity;
  };
  if (sortName !== undefined) rows.sort((a, b) => weight(b.fields) - weight(a.fields) || 0);
  const shown = rows.slice(0, ROWS_SHOWN);
  const isNumeric = names.map((name) => shown.every(({ fields }) => typeof fields.get(name) === 'number'));
  const hasBars = what === 'item' && sortName !== undefined;
  const scale = Math.max(...shown.map(({ fields }) => weight(fields)));
  const table = new Table({
    head: ['key', ...names, ...(hasBars ? [''] : [])],
    colAligns: ['left', ...isNumeric.map((numeric) => (numeric ? 'right' : 'left'))],
    style: { compact: true, head: isColoured ? ['bold'] : [], border: isColoured ? ['gray'] : [] },
  });
  for (const { key, fields } of shown) {
    table.push([
      cut(JSON.stringify(key).slice(1, -1), KEY_CHARACTERS),
      ...names.map((name) => textOf(fields.get(name))),
      ...(hasBars ? [bar(weight(fields), scale)] : []),
    ]);
  }
  const more = rows.length - shown.length;
  const order = isByTime ? 'by time, the newest first' : sortName === undefined ? 'by key' : `by ${sortName}`;
  const note =
    more > 0
      ? `The first ${shown.length} ${order}, and ${more.toLocaleString('en-US')} more ${what}s.`
      : `All ${what}s, ${order}.`;
  return `${table.toString()}\n${note}`;
}

/** A state that is no map has one field, without a name of its own. */
export function fieldsOf(state: Document): Map<string, Document> {
  const isMap = typeof state === 'object' && state !== null && !Array.isArray(state);
  if (!isMap || state instanceof Uint8Array) return new Map([['state', state]]);
  return new Map(Object.entries(state as { readonly [name: string]: Document }));
}

export function textOf(value: Document | undefined): string {
  if (value === undefined) return '';
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : value.toFixed(2);
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'string') return cut(JSON.stringify(value).slice(1, -1));
  if (isTexts(value)) return cut(value.join(', '), KEY_CHARACTERS);
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  return cut(JSON.stringify(value, (_, each: unknown) => (typeof each === 'bigint' ? String(each) : each)));
}

function isTexts(value: Document): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string');
}

function cut(text: string, characters = CELL_CHARACTERS): string {
  return text.length <= characters ? text : `${text.slice(0, characters - 1)}…`;
}

function bar(value: number, scale: number): string {
  const share = scale > 0 ? Math.max(0, value / scale) : 0;
  return '█'.repeat(Math.round(share * BAR_CHARACTERS));
}
