import { METRIC } from '../../shared/lambda/batch-metrics.ts';

type MetricName = (typeof METRIC)[keyof typeof METRIC];

/** Sums of the metrics that functions wrote into their logs, by the metrics' names. */
export type MetricSums = Readonly<Record<MetricName, number>>;

export function sumOf(all: readonly MetricSums[]): MetricSums {
  const names = Object.values(METRIC);
  const total = (name: MetricName) => all.reduce((sum, each) => sum + each[name], 0);
  return Object.fromEntries(names.map((name) => [name, total(name)])) as Record<MetricName, number>;
}

export interface LogMessage {
  readonly level: 'warning' | 'error' | 'other';
  /** In short: the message, with the name and text of an error. */
  readonly text: string;
}

/** What Lambda's Node runtime and the engine print when a process ends in a way that it did not choose. */
const ERROR_PATTERN = /Task timed out|^Fatal|\bUncaught\b|\bout of memory\b|Runtime\.\w+/;

/** Reads the log lines of functions: metrics in CloudWatch's embedded format are summed up, the rest is for people. */
export class FunctionLog {
  readonly #sums = Object.fromEntries(Object.values(METRIC).map((name) => [name, 0])) as Record<
    MetricName,
    number
  >;

  sums(): MetricSums {
    return { ...this.#sums };
  }

  /** @returns undefined for a metric, else what the line says. */
  take(line: string): LogMessage | undefined {
    const document = parse(line);
    if (document === undefined) return { level: ERROR_PATTERN.test(line) ? 'error' : 'other', text: line };
    if ('_aws' in document) {
      for (const name of Object.values(METRIC)) this.#sums[name] += total(document[name]);
      return undefined;
    }
    return { level: levelOf(document['level']), text: shortText(document, line) };
  }
}

type Fields = Readonly<Record<string, unknown>>;

function parse(line: string): Fields | undefined {
  const from = line.startsWith('{') ? 0 : line.indexOf('\t{') + 1;
  if (!line.startsWith('{', from)) return undefined;
  try {
    const value: unknown = JSON.parse(line.slice(from));
    return typeof value === 'object' && value !== null ? (value as Fields) : undefined;
  } catch {
    return undefined;
  }
}

/** A metric of the embedded format is a number, or a list of numbers where it was added more than once. */
function total(value: unknown): number {
  const values: readonly unknown[] = Array.isArray(value) ? value : [value];
  return values.reduce<number>((sum, each) => sum + (typeof each === 'number' ? each : 0), 0);
}

function levelOf(level: unknown): LogMessage['level'] {
  if (level === 'ERROR' || level === 'CRITICAL') return 'error';
  return level === 'WARN' ? 'warning' : 'other';
}

function shortText(document: Fields, line: string): string {
  const { message, error } = document;
  if (typeof message !== 'string') return line;
  if (typeof error === 'string') return `${message}: ${error}`;
  if (typeof error === 'object' && error !== null && 'message' in error) {
    return `${message}: ${String(error.message)}`;
  }
  return message;
}
