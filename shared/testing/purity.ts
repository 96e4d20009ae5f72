import { decodedValues, keyOf } from '../engine/elements.ts';
import { programOf } from '../engine/program.ts';
import type { PipelineDefinition } from '../pipeline/definition.ts';
import type { SourceRecord } from '../source/record.ts';
import type { BrokenRule } from './broken-rule.ts';
import { Oracle } from './simulator/oracle.ts';
import { CallLog, watchedDefinition, type Call } from './watched-definition.ts';

/** A rule that a pipeline's own functions break, with the number of the record where it shows. */
export interface Impurity {
  readonly rule: BrokenRule;
  readonly name: string;
  readonly what: string;
  readonly record: number;
}

/**
 * Runs the pipeline's functions over the records twice, in order, over plain state, and compares call by call: first
 * with each key's elements decoded anew, then with all of a record's elements from one decoding, so that a function
 * that changes what it is given is found out. Clock and chance differ between the two runs.
 * @param keyName what the function that gives the key is called, in words.
 * @returns the first call that differs and why, or `undefined`.
 */
export function findImpurity(
  definition: PipelineDefinition,
  records: readonly SourceRecord[],
  keyName = 'keyBy',
): Impurity | undefined {
  const first = callsOf(definition, records, keyName, 1, false);
  const second = callsOf(definition, records, keyName, 2, true);
  for (const [place, one] of first.entries()) {
    const other = second[place];
    if (other === undefined) return differentCalls(one, 'once, and not the second time');
    if (one.name !== other.name || one.record !== other.record)
      return differentCalls(other, 'where the first time another one was');
    if (one.input !== other.input) return changedInput(second.slice(0, place), one, other);
    if (one.output !== other.output) return impureCall(one, other);
  }
  const more = second[first.length];
  return more === undefined ? undefined : differentCalls(more, 'the second time only');
}

function callsOf(
  definition: PipelineDefinition,
  records: readonly SourceRecord[],
  keyName: string,
  days: number,
  isShared: boolean,
): readonly Call[] {
  const log = new CallLog(days);
  const watched = watchedDefinition(definition, log, keyName);
  const program = programOf(watched);
  let values: readonly unknown[] = [];
  let keys: readonly (string | undefined)[] = [];
  let asked = 0;
  const { kind, stream, codec, retentionHours, chained } = watched.source;
  // Decoder, steps and keyBy run here; the oracle is given what came of them.
  const oracle = new Oracle({
    ...watched,
    source: { kind, stream, retentionHours, codec: chained ? codec : 'bytes', ...(chained && { chained }) },
    stages: [{ kind: 'flatMap', apply: () => values }],
    keyBy: () => keys[asked++ % keys.length],
  });
  for (const [number, record] of records.entries()) {
    log.record = number;
    try {
      values = decodedValues(program, record);
    } catch {
      continue;
    }
    keys = values.map((value) => {
      const key = keyOf(program, value);
      return typeof key === 'string' ? key : undefined;
    });
    for (const key of new Set(keys)) {
      if (key === undefined) continue;
      asked = 0;
      oracle.fold(record, key);
      if (isShared || values.length === 1) continue;
      const folded = log.calls.length;
      try {
        values = decodedValues(program, record);
        for (const value of values) keyOf(program, value);
      } catch {
        break;
      }
      // Decoding again for the next key is no call of its own.
      log.calls.length = folded;
    }
  }
  return log.calls;
}

function impureCall(one: Call, other: Call): Impurity {
  const uses = [...new Set([...one.uses, ...other.uses])];
  const why =
    uses.length > 0
      ? `It calls ${uses.join(' and ')}. `
      : 'It reads something outside, such as a variable of its module, or changes what another call holds. ';
  const isKey = one.name === 'keyBy' || one.name.startsWith('the key function');
  return {
    rule: isKey ? 'deterministicKeys' : 'pureFunctions',
    name: one.name,
    what:
      `${capitalized(one.name)} gives two results for one input. ${why}` +
      `Given ${one.input} it gave\n    ${one.output}\n  and then\n    ${other.output}`,
    record: one.record,
  };
}

/** What a call is given was changed by a call before it. */
function changedInput(before: readonly Call[], one: Call, other: Call): Impurity {
  const changer = before.findLast(({ record, hasChangedInput }) => record === one.record && hasChangedInput);
  const name = changer?.name ?? one.name;
  return {
    rule: changer === undefined ? 'pureFunctions' : 'unchangedInput',
    name,
    what:
      changer === undefined
        ? `${capitalized(name)} is given two inputs for one record:\n    ${one.input}\n  and then\n    ${other.input}`
        : `${capitalized(name)} changes the value that it is given, and another element of the record holds the same ` +
          `object. Given ${changer.input} it left it changed, so that ${one.name} was given\n    ${other.input}\n` +
          `  where it should have been given\n    ${one.input}`,
    record: one.record,
  };
}

function differentCalls({ name, record }: Call, when: string): Impurity {
  return {
    rule: 'pureFunctions',
    name,
    what: `Two runs over the same records call different functions: ${name} is called ${when}.`,
    record,
  };
}

function capitalized(text: string): string {
  return text.startsWith('keyBy') ? text : text.charAt(0).toUpperCase() + text.slice(1);
}
