import { isUtf8 } from 'node:buffer';
import { gunzipSync } from 'node:zlib';
import { exactJson } from '../../../shared/output/exact-json.ts';
import { isKey } from '../../../shared/testing/plain-key.ts';
import type { PipelineDefinition, Repartition, StatelessStage } from '../../../shared/pipeline/definition.ts';

/**
 * The values that a line becomes before `keyBy`, by the pipeline's definition alone: codec, schema, stateless stages.
 * Written apart from the engine, which it is compared with.
 * @throws whatever is wrong with the line.
 */
export function lineElements(definition: PipelineDefinition, line: Buffer): unknown[] {
  const { repartition } = definition;
  if (repartition === undefined) return decodedElements(definition, line);
  return relayedValues(repartition, line).flatMap((json) =>
    json === undefined ? [] : valueElements(definition, JSON.parse(json)),
  );
}

/**
 * What the line becomes in the internal stream of a repartition, as JSON text; undefined for each value that cannot pass.
 * @throws whatever is wrong with the line.
 */
export function relayedValues(repartition: Repartition, line: Buffer): (string | undefined)[] {
  return decodedElements(repartition, line).map((value) => {
    try {
      const key = repartition.key(value);
      return isKey(key) ? exactJson(value, 'the value') : undefined;
    } catch {
      return undefined;
    }
  });
}

function decodedElements(
  { source, stages }: Pick<PipelineDefinition, 'source' | 'stages'>,
  line: Buffer,
): unknown[] {
  if (source.codec === 'bytes') return through(stages, new Uint8Array(line));
  const isGzip = line[0] === 0x1f && line[1] === 0x8b;
  const bytes = isGzip ? gunzipSync(line) : line;
  if (!isUtf8(bytes)) throw new TypeError('The line is not UTF-8.');
  const text = bytes.toString('utf8');
  if (source.codec === 'text') return through(stages, text);
  return valueElements({ source, stages }, JSON.parse(text));
}

/**
 * The same from a value that is parsed already, such as another pipeline's output.
 * @param key under which the output was published.
 */
export function valueElements(
  { source, stages }: Pick<PipelineDefinition, 'source' | 'stages'>,
  value: unknown,
  key?: string,
): unknown[] {
  const enter = (entering: unknown) =>
    through(stages, source.chained?.withKey === true ? { key, value: entering } : entering);
  if (source.schema === undefined) return enter(value);
  const checked = source.schema['~standard'].validate(value);
  if (checked instanceof Promise) throw new TypeError('The schema validates asynchronously.');
  if (checked.issues !== undefined) throw new TypeError('The line does not fit the schema.');
  return enter(checked.value);
}

function through(stages: readonly StatelessStage[], value: unknown): unknown[] {
  let values = [value];
  for (const stage of stages) {
    if (stage.kind === 'map') values = values.map((each) => stage.apply(each));
    else if (stage.kind === 'filter') values = values.filter((each) => stage.apply(each));
    else values = values.flatMap((each) => [...stage.apply(each)]);
  }
  return values;
}
