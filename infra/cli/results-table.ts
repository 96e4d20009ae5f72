import Table from 'cli-table3';
import type { Document } from '../../shared/state/document.ts';
import type { KeyState } from './state-lines.ts';

const ROWS_SHOWN = 15;
const CELL_CHARACTERS = 30;

/**
 * A table of keys and the top-level fields of their states, the largest of the first numeric field first.
 * @param isColoured whether the terminal takes colours.
 */
export function resultsTable(states: readonly KeyState[], isColoured: boolean): string {
  if (states.length === 0) return 'No key has a state.';
  const rows = states.map(({ key, state }) => ({ key, fields: fieldsOf(state) }));
  const names = [...new Set(rows.flatMap(({ fields }) => [...fields.keys()]))];
  const sortName = names.find((name) => rows.some(({ fields }) => typeof fields.get(name) === 'number'));
  const weight = (fields: ReadonlyMap<string, Document>): number => {
    const value = sortName === undefined ? undefined : fields.get(sortName);
    return typeof value === 'number' ? value : -Infinity;
  };
  if (sortName !== undefined) rows.sort((a, b) => weight(b.fields) - weight(a.fields) || 0);
  const shown = rows.slice(0, ROWS_SHOWN);
  const isNumeric = names.map((name) => shown.every(({ fields }) => typeof fields.get(name) === 'number'));
  const table = new Table({
    head: ['key', ...names],
    colAligns: ['left', ...isNumeric.map((numeric) => (numeric ? 'right' : 'left'))],
    style: { compact: true, head: isColoured ? ['bold'] : [], border: isColoured ? ['gray'] : [] },
  });
  for (const { key, fields } of shown) {
    table.push([cut(JSON.stringify(key).slice(1, -1)), ...names.map((name) => textOf(fields.get(name)))]);
  }
  const more = rows.length - shown.length;
  const order = sortName === undefined ? 'by key' : `by ${sortName}`;
  const note =
    more > 0
      ? `The first ${shown.length} ${order}, and ${more.toLocaleString('en-US')} more keys.`
      : `All keys, ${order}.`;
  return `${table.toString()}\n${note}`;
}

/** A state that is no map has one field, without a name of its own. */
function fieldsOf(state: Document): Map<string, Document> {
  const isMap = typeof state === 'object' && state !== null && !Array.isArray(state);
  if (!isMap || state instanceof Uint8Array) return new Map([['state', state]]);
  return new Map(Object.entries(state as { readonly [name: string]: Document }));
}

function textOf(value: Document | undefined): string {
  if (value === undefined) return '';
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : value.toFixed(2);
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'string') return cut(JSON.stringify(value).slice(1, -1));
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  return cut(JSON.stringify(value, (_, each: unknown) => (typeof each === 'bigint' ? String(each) : each)));
}

function cut(text: string): string {
  return text.length <= CELL_CHARACTERS ? text : `${text.slice(0, CELL_CHARACTERS - 1)}…`;
}
