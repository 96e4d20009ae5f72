import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import {
  decodeMarkPosition,
  decodePosition,
  encodeMarkPosition,
  encodePosition,
} from '../source/position.ts';
import { rowBytes, type Row } from './attribute-bytes.ts';
import { decodeDocument, encodeDocument } from './document-codec.ts';
import type { Document } from './document.ts';
import { ENTRY, ITEM, LETTERS } from './item-attributes.ts';
import type { Letters } from './letters.ts';
import { numbersIn, rangesOf, rangesOfText, rangesText } from './number-ranges.ts';
import { setOwn } from './own-property.ts';
import { dueBucketOf } from './due-buckets.ts';
import { shownKey } from './row-key.ts';
import type {
  DeadLetterEntry,
  DeadLetterStage,
  Mark,
  OutboxEntry,
  OutputEntry,
  RejectedRecord,
  SpilledStates,
  StateItem,
} from './state-item.ts';

/** A state item as a row. Empty parts are left out, marks excepted. */
export function encodeItem(item: StateItem): Row {
  const row: Row = {
    [ITEM.pk]: { S: item.pk },
    [ITEM.revision]: { N: String(item.revision) },
    [ITEM.marks]: { M: encodeMap(item.marks, encodeMark) },
  };
  if (item.states.size > 0) row[ITEM.states] = { M: encodeMap(item.states, encodeDocument) };
  if (item.spilled !== undefined) row[ITEM.spilled] = encodeSpilled(item.spilled);
  const versions = new Map(
    [...item.versions].filter(([operator, version]) => version !== 1 || !item.states.has(operator)),
  );
  if (versions.size > 0)
    row[ITEM.versions] = { M: encodeMap(versions, (version) => ({ N: String(version) })) };
  if (item.outbox.length > 0)
    row[ITEM.outbox] = { L: item.outbox.map((entry) => ({ M: encodeEntry(entry, item.revision) })) };
  if (item.letters !== undefined) row[ITEM.letters] = { M: encodeLetters(item.letters) };
  if (item.rejected !== undefined && item.rejected.length > 0)
    row[ITEM.rejected] = { S: item.rejected.map(rejectedText).join(' ') };
  if (item.settled !== undefined) row[ITEM.settled] = { S: encodeMarkPosition(item.settled) };
  if (item.firedMs !== undefined) row[ITEM.fired] = { N: String(item.firedMs) };
  if (item.processingFiredMs !== undefined) row[ITEM.processingFired] = { N: String(item.processingFiredMs) };
  if (item.dueMs !== undefined) row[ITEM.due] = { N: String(item.dueMs) };
  if (item.processingDueMs !== undefined) row[ITEM.processingDue] = { N: String(item.processingDueMs) };
  if (item.dueMs !== undefined || item.processingDueMs !== undefined)
    row[ITEM.dueBucket] = { S: dueBucketOf(item.pk) };
  if (item.expiresAtSeconds !== undefined) row[ITEM.expiry] = { N: String(item.expiresAtSeconds) };
  return row;
}

/**
 * The state item of a row. Operators and lanes come in the order of their names, because the database keeps none; an
 * operator with a state and no version has version 1.
 * @throws TypeError when the row is not a state item.
 */
export function decodeItem(row: Row): StateItem {
  const states = decodeMap(row[ITEM.states], decodeDocument);
  const spilled = row[ITEM.spilled]?.S;
  const rejected = row[ITEM.rejected]?.S;
  const settled = row[ITEM.settled]?.S;
  const expiry = row[ITEM.expiry]?.N;
  const fired = row[ITEM.fired]?.N;
  const due = row[ITEM.due]?.N;
  const processingFired = row[ITEM.processingFired]?.N;
  const processingDue = row[ITEM.processingDue]?.N;
  const revision = Number(numberOf(row, ITEM.revision));
  return {
    pk: textOf(row, ITEM.pk),
    revision,
    marks: decodeMap(row[ITEM.marks], decodeMark),
    states,
    versions: decodeVersions(row[ITEM.versions], states),
    outbox: (row[ITEM.outbox]?.L ?? []).map((entry) => decodeEntry(entry.M ?? {}, revision)),
    ...(row[ITEM.letters] === undefined ? {} : { letters: decodeLetters(row[ITEM.letters]?.M ?? {}) }),
    ...(rejected === undefined ? {} : { rejected: rejected.split(' ').map(rejectedOf) }),
    ...(settled === undefined ? {} : { settled: decodeMarkPosition(settled) }),
    ...(spilled === undefined ? {} : { spilled: decodeSpilled(spilled) }),
    ...(fired === undefined ? {} : { firedMs: Number(fired) }),
    ...(due === undefined ? {} : { dueMs: Number(due) }),
    ...(processingFired === undefined ? {} : { processingFiredMs: Number(processingFired) }),
    ...(processingDue === undefined ? {} : { processingDueMs: Number(processingDue) }),
    ...(expiry === undefined ? {} : { expiresAtSeconds: Number(expiry) }),
  };
}

/** The item's size by DynamoDB's rules, exactly. */
export function itemBytes(item: StateItem): number {
  return rowBytes(encodeItem(item));
}

function encodeMap<T>(map: ReadonlyMap<string, T>, encode: (value: T) => AttributeValue): Row {
  const row: Row = {};
  for (const [name, value] of map) setOwn(row, name, encode(value));
  return row;
}

function decodeMap<T>(
  value: AttributeValue | undefined,
  decode: (value: AttributeValue) => T,
): Map<string, T> {
  const map = new Map<string, T>();
  const row = value?.M ?? {};
  for (const name of Object.keys(row).sort()) map.set(name, decode(row[name] as AttributeValue));
  return map;
}

function decodeVersions(
  value: AttributeValue | undefined,
  states: ReadonlyMap<string, Document>,
): Map<string, number> {
  const stored = decodeMap(value, (version) => Number(version.N));
  const operators = new Set([...states.keys(), ...stored.keys()]);
  return new Map([...operators].sort().map((operator) => [operator, stored.get(operator) ?? 1]));
}

function encodeSpilled({ revision, hash, bytes }: SpilledStates): AttributeValue {
  return { S: `${revision.toString(36)}.${hash}.${bytes}` };
}

function decodeSpilled(text: string): SpilledStates {
  const [revision = '', hash = '', bytes = ''] = text.split('.');
  return { revision: Number.parseInt(revision, 36), hash, bytes: Number(bytes) };
}

function encodeMark(mark: Mark): AttributeValue {
  return { S: `${encodeMarkPosition(mark.position)}@${mark.arrivalSeconds.toString(36)}` };
}

function decodeMark(value: AttributeValue): Mark {
  const text = value.S ?? '';
  const at = text.indexOf('@');
  if (at < 0) throw new TypeError(`${JSON.stringify(value)} is not a mark: it has no "@".`);
  return {
    position: decodeMarkPosition(text.slice(0, at)),
    arrivalSeconds: Number.parseInt(text.slice(at + 1), 36),
  };
}

function encodeEntry(entry: OutboxEntry, itemRevision: number): Row {
  const row: Row = {
    [ENTRY.lane]: { S: entry.lane },
    [ENTRY.position]: { S: encodePosition(entry.position) },
  };
  if (entry.element !== 0) row[ENTRY.element] = { N: String(entry.element) };
  if (entry.origin !== undefined) {
    row[ENTRY.originLane] = { S: entry.origin.lane };
    row[ENTRY.originPosition] = { S: encodePosition(entry.origin.position) };
  }
  if (entry.kind === 'deadLetter') {
    if (entry.number !== 0) row[ENTRY.number] = { N: String(entry.number) };
    row[ENTRY.stage] = { S: entry.stage };
    row[ENTRY.reason] = { S: entry.reason };
    if (entry.arrivalMs !== undefined) row[ENTRY.arrivalMs] = { N: String(entry.arrivalMs) };
    if (entry.except !== undefined) row[ENTRY.except] = { S: rangesText(rangesOf(entry.except)) };
    return row;
  }
  row[ENTRY.sink] = { S: entry.sink };
  if (entry.index !== 0) row[ENTRY.index] = { N: String(entry.index) };
  row[ENTRY.destinationKey] = { S: entry.destinationKey };
  if (entry.revision !== itemRevision) row[ENTRY.revision] = { N: String(entry.revision) };
  if (entry.isChange) row[ENTRY.isChange] = { BOOL: true };
  row[ENTRY.arrivalMs] = { N: String(entry.arrivalMs) };
  if (entry.originArrivalMs !== undefined) row[ENTRY.originArrivalMs] = { N: String(entry.originArrivalMs) };
  if ('json' in entry.value) row[ENTRY.json] = { S: entry.value.json };
  else row[ENTRY.stateOf] = { S: entry.value.stateOf };
  return row;
}

function decodeEntry(row: Row, itemRevision: number): OutboxEntry {
  const base = {
    lane: textOf(row, ENTRY.lane),
    position: decodePosition(textOf(row, ENTRY.position)),
    element: Number(row[ENTRY.element]?.N ?? 0),
    ...(row[ENTRY.originLane] !== undefined && {
      origin: {
        lane: textOf(row, ENTRY.originLane),
        position: decodePosition(textOf(row, ENTRY.originPosition)),
      },
    }),
  };
  const stage = row[ENTRY.stage]?.S;
  const arrivalMs = row[ENTRY.arrivalMs]?.N;
  const except = row[ENTRY.except]?.S;
  if (stage !== undefined) {
    return {
      kind: 'deadLetter',
      ...base,
      number: Number(row[ENTRY.number]?.N ?? 0),
      stage: stage as DeadLetterStage,
      reason: textOf(row, ENTRY.reason),
      ...(arrivalMs !== undefined && { arrivalMs: Number(arrivalMs) }),
      ...(except !== undefined && { except: numbersIn(rangesOfText(except)) }),
    } satisfies DeadLetterEntry;
  }
  const json = row[ENTRY.json]?.S;
  const originArrivalMs = row[ENTRY.originArrivalMs]?.N;
  return {
    kind: 'output',
    ...base,
    sink: textOf(row, ENTRY.sink),
    index: Number(row[ENTRY.index]?.N ?? 0),
    destinationKey: textOf(row, ENTRY.destinationKey),
    revision: Number(row[ENTRY.revision]?.N ?? itemRevision),
    isChange: row[ENTRY.isChange]?.BOOL ?? false,
    arrivalMs: Number(numberOf(row, ENTRY.arrivalMs)),
    ...(originArrivalMs !== undefined && { originArrivalMs: Number(originArrivalMs) }),
    value: json === undefined ? { stateOf: textOf(row, ENTRY.stateOf) } : { json },
  } satisfies OutputEntry;
}

function encodeLetters({ next, closed, parkedFrom }: Letters): Row {
  const row: Row = { [LETTERS.next]: { N: String(next) } };
  if (closed.length > 0) row[LETTERS.closed] = { S: rangesText(closed) };
  if (parkedFrom !== undefined) row[LETTERS.parkedFrom] = { N: String(parkedFrom) };
  return row;
}

function decodeLetters(row: Row): Letters {
  const closed = row[LETTERS.closed]?.S;
  const parkedFrom = row[LETTERS.parkedFrom]?.N;
  return {
    next: Number(numberOf(row, LETTERS.next)),
    closed: closed === undefined ? [] : rangesOfText(closed),
    ...(parkedFrom !== undefined && { parkedFrom: Number(parkedFrom) }),
  };
}

function rejectedText({ position, elements }: RejectedRecord): string {
  const place = encodeMarkPosition(position);
  return elements === undefined ? place : `${place}#${rangesText(rangesOf(elements))}`;
}

function rejectedOf(text: string): RejectedRecord {
  const [place = '', elements] = text.split('#');
  const position = decodeMarkPosition(place);
  return elements === undefined ? { position } : { position, elements: numbersIn(rangesOfText(elements)) };
}

function textOf(row: Row, name: string): string {
  const text = row[name]?.S;
  if (text === undefined) throw notAnItem(row, name);
  return text;
}

function numberOf(row: Row, name: string): string {
  const text = row[name]?.N;
  if (text === undefined) throw notAnItem(row, name);
  return text;
}

function notAnItem(row: Row, name: string): TypeError {
  const key = row[ITEM.pk]?.S;
  return new TypeError(
    `Row ${key === undefined ? 'without a key' : shownKey(key)} lacks the attribute "${name}" or has it in another type: it is not a state item of Tidemark.`,
  );
}
