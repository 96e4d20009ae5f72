import { bytesOf, type StreamRecord } from './stream-record.ts';

/** Decides which records a function is to see; what does not match is dropped silently. */
export interface RecordFilter {
  matches(record: StreamRecord): boolean;
}

interface Rule {
  readonly matchesMissing: boolean;
  readonly matches: (value: unknown) => boolean;
}

type Pattern =
  | { readonly kind: 'rules'; readonly rules: readonly Rule[] }
  | {
      readonly kind: 'fields';
      readonly fields: readonly (readonly [string, Pattern])[];
      /** `$or`: for each use of it, at least one of its patterns matches. */
      readonly alternatives: readonly (readonly Pattern[])[];
    };

/** Quotas of AWS: filters of one mapping, and characters of one pattern. */
const MAXIMUM_FILTERS = 10;
const MAXIMUM_PATTERN_CHARACTERS = 4096;

const METADATA = new Set([
  'kinesisSchemaVersion',
  'partitionKey',
  'sequenceNumber',
  'approximateArrivalTimestamp',
  'data',
]);
const NUMERIC_COMPARISONS: ReadonlyMap<string, (value: number, bound: number) => boolean> = new Map([
  ['=', (value, bound) => value === bound],
  ['<', (value, bound) => value < bound],
  ['<=', (value, bound) => value <= bound],
  ['>', (value, bound) => value > bound],
  ['>=', (value, bound) => value >= bound],
]);

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function refuse(value: unknown, allowed: string): never {
  throw new RangeError(`Filter pattern holds ${JSON.stringify(value)}; allowed: ${allowed}.`);
}

function isScalar(value: unknown): boolean {
  return value === null || ['string', 'number', 'boolean'].includes(typeof value);
}

function present(matches: (value: unknown) => boolean): Rule {
  return { matchesMissing: false, matches };
}

function textRule(operator: string, operand: unknown): (value: unknown) => boolean {
  if (typeof operand !== 'string') return refuse({ [operator]: operand }, `a text behind "${operator}"`);
  switch (operator) {
    case 'prefix':
      return (value) => typeof value === 'string' && value.startsWith(operand);
    case 'suffix':
      return (value) => typeof value === 'string' && value.endsWith(operand);
    default:
      return (value) => typeof value === 'string' && value.toLowerCase() === operand.toLowerCase();
  }
}

function numericRule(operand: unknown): (value: unknown) => boolean {
  const allowed = 'comparisons such as [">", 0, "<=", 100] behind "numeric"';
  if (!Array.isArray(operand) || operand.length === 0 || operand.length % 2 !== 0) {
    return refuse({ numeric: operand }, allowed);
  }
  const parts = operand as readonly unknown[];
  const comparisons: { compare: (value: number, bound: number) => boolean; bound: number }[] = [];
  for (let index = 0; index < parts.length; index += 2) {
    const operator = parts[index];
    const bound = parts[index + 1];
    const compare = typeof operator === 'string' ? NUMERIC_COMPARISONS.get(operator) : undefined;
    if (compare === undefined || typeof bound !== 'number') return refuse({ numeric: operand }, allowed);
    comparisons.push({ compare, bound });
  }
  return (value) =>
    typeof value === 'number' && comparisons.every(({ compare, bound }) => compare(value, bound));
}

function anythingButRule(operand: unknown): (value: unknown) => boolean {
  if (isObject(operand)) {
    const entries = Object.entries(operand);
    const [operator, text] = entries[0] ?? [];
    if (entries.length !== 1 || (operator !== 'prefix' && operator !== 'suffix')) {
      return refuse({ 'anything-but': operand }, 'a value, a list of values, a prefix or a suffix');
    }
    const excluded = textRule(operator, text);
    return (value) => !excluded(value);
  }
  const excluded: readonly unknown[] = Array.isArray(operand) ? operand : [operand];
  if (excluded.length === 0 || !excluded.every(isScalar)) {
    return refuse({ 'anything-but': operand }, 'a value, a list of values, a prefix or a suffix');
  }
  return (value) => !excluded.includes(value);
}

function compileRule(rule: unknown): Rule {
  if (isScalar(rule)) return present((value) => value === rule);
  const entries = isObject(rule) ? Object.entries(rule) : [];
  const entry = entries[0];
  if (entries.length !== 1 || entry === undefined) {
    return refuse(rule, 'a value, or an object with one operator, in a list of rules');
  }
  const [operator, operand] = entry;
  switch (operator) {
    case 'prefix':
    case 'suffix':
    case 'equals-ignore-case':
      return present(textRule(operator, operand));
    case 'numeric':
      return present(numericRule(operand));
    case 'anything-but':
      return present(anythingButRule(operand));
    case 'exists':
      if (typeof operand !== 'boolean') return refuse(rule, 'true or false behind "exists"');
      return { matchesMissing: !operand, matches: () => operand };
    default:
      return refuse(rule, 'prefix, suffix, equals-ignore-case, numeric, anything-but and exists');
  }
}

function compilePattern(pattern: unknown): Pattern {
  if (Array.isArray(pattern)) {
    if (pattern.length === 0) return refuse(pattern, 'lists with at least one rule');
    return { kind: 'rules', rules: pattern.map(compileRule) };
  }
  if (!isObject(pattern)) return refuse(pattern, 'a list of rules or an object of patterns');
  const fields: [string, Pattern][] = [];
  const alternatives: Pattern[][] = [];
  for (const [name, inner] of Object.entries(pattern)) {
    if (name !== '$or') fields.push([name, compilePattern(inner)]);
    else if (Array.isArray(inner) && inner.length > 0) alternatives.push(inner.map(compilePattern));
    else refuse({ $or: inner }, 'a list of patterns behind "$or"');
  }
  return { kind: 'fields', fields, alternatives };
}

function matchesPattern(pattern: Pattern, value: unknown): boolean {
  if (pattern.kind === 'rules') {
    if (value === undefined) return pattern.rules.some((rule) => rule.matchesMissing);
    const values: readonly unknown[] = Array.isArray(value) ? value : [value];
    return values.some((element) => pattern.rules.some((rule) => rule.matches(element)));
  }
  if (Array.isArray(value)) return value.some((element) => matchesPattern(pattern, element));
  const object = isObject(value) ? value : {};
  return (
    pattern.fields.every(([name, inner]) =>
      matchesPattern(inner, Object.hasOwn(object, name) ? object[name] : undefined),
    ) && pattern.alternatives.every((choices) => choices.some((choice) => matchesPattern(choice, object)))
  );
}

/** The fields at the top of a pattern, those inside `$or` included. */
function topFields(pattern: Pattern): (readonly [string, Pattern])[] {
  if (pattern.kind === 'rules') return [];
  return [...pattern.fields, ...pattern.alternatives.flat().flatMap(topFields)];
}

function compileFilter(text: unknown): Pattern {
  if (typeof text !== 'string' || text.length > MAXIMUM_PATTERN_CHARACTERS) {
    return refuse(text, `JSON text of at most ${MAXIMUM_PATTERN_CHARACTERS} characters as Pattern`);
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new RangeError(`Filter pattern ${JSON.stringify(text)} is not JSON: ${String(error)}.`, {
      cause: error,
    });
  }
  if (!isObject(parsed)) return refuse(parsed, 'an object as the whole pattern');
  const pattern = compilePattern(parsed);
  const unknown = topFields(pattern).find(([name]) => !METADATA.has(name));
  if (unknown !== undefined) refuse(unknown[0], `${[...METADATA].join(', ')} at the top of a pattern`);
  return pattern;
}

interface ReadableData {
  readonly text?: string;
  readonly json?: Readonly<Record<string, unknown>>;
}

const decoder = new TextDecoder('utf-8', { fatal: true });

/**
 * The data as the patterns see it: an object for patterns of fields, a text for a list of rules. Data of the other kind
 * does not match [AWS: "Filter criteria for Kinesis", proper filtering of data], which the absence of both shows.
 */
function readData(data: Uint8Array | string): ReadableData {
  let text: string;
  try {
    text = decoder.decode(bytesOf(data));
  } catch {
    return {};
  }
  try {
    const json: unknown = JSON.parse(text);
    if (isObject(json)) return { json };
    return Array.isArray(json) ? {} : { text };
  } catch {
    return { text };
  }
}

function matchesRecord(
  pattern: Pattern,
  view: Readonly<Record<string, unknown>>,
  data: ReadableData,
): boolean {
  if (pattern.kind === 'rules') return false;
  const fieldsMatch = pattern.fields.every(([name, inner]) => {
    if (name !== 'data') return matchesPattern(inner, view[name]);
    const value = inner.kind === 'rules' ? data.text : data.json;
    return value !== undefined && matchesPattern(inner, value);
  });
  return (
    fieldsMatch &&
    pattern.alternatives.every((choices) => choices.some((choice) => matchesRecord(choice, view, data)))
  );
}

/**
 * Compiles the FilterCriteria of a mapping. This is Lambda's matching for equality, null, prefix, suffix,
 * equals-ignore-case, numeric, exists, anything-but (values, prefix, suffix) and `$or`, over the record's metadata and
 * over `data`, as JSON or as plain text. A record passes when one of the filters matches. `wildcard` and `cidr` are
 * refused, as is every other operator.
 * @returns undefined where there is no filter, so that nothing needs to be decoded.
 * @throws RangeError when the criteria are not of that form.
 */
export function compileFilterCriteria(criteria: unknown): RecordFilter | undefined {
  if (criteria === undefined || criteria === null) return undefined;
  const filters: unknown = isObject(criteria) ? (criteria.Filters ?? []) : criteria;
  if (!Array.isArray(filters) || filters.length > MAXIMUM_FILTERS) {
    throw new RangeError(
      `FilterCriteria is ${JSON.stringify(criteria)}; allowed is {"Filters": [{"Pattern": "…"}]} with at most ` +
        `${MAXIMUM_FILTERS} filters.`,
    );
  }
  const patterns = filters.map((filter: unknown) =>
    compileFilter(isObject(filter) ? filter.Pattern : filter),
  );
  if (patterns.length === 0) return undefined;
  const needsData = patterns.some((pattern) => topFields(pattern).some(([name]) => name === 'data'));
  return {
    matches(record) {
      const data = needsData ? readData(record.data) : {};
      const view = {
        kinesisSchemaVersion: '1.0',
        partitionKey: record.partitionKey,
        sequenceNumber: record.sequenceNumber,
        approximateArrivalTimestamp: record.approximateArrivalTimestampMs / 1000,
      };
      return patterns.some((pattern) => matchesRecord(pattern, view, data));
    },
  };
}
