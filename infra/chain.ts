import { outerSourceOf, sinksOf, type KinesisSink, type Pipeline } from '../shared/pipeline/definition.ts';
import type { StatefulPipelineProps } from './constructs/stateful-pipeline-props.ts';

/** Pipelines with what their descriptions do not say, as in infra/pipelines.ts. */
type Deployed = readonly StatefulPipelineProps[];

/** The sinks that fill the stream which a chained pipeline reads: of one pipeline, and at least one. */
export interface Upstream {
  readonly deployed: StatefulPipelineProps;
  readonly sinks: readonly [KinesisSink, ...KinesisSink[]];
}

export function nameOf({ pipeline }: { readonly pipeline: Pipeline }): string {
  return pipeline.definition.name;
}

/** The pipelines of which a sink writes to the stream that this one reads, by the streams' logical names. */
export function writersFor(deployed: Deployed, reader: StatefulPipelineProps): Upstream[] {
  // A stream that is given is filled by somebody outside of this app.
  if (reader.stream !== undefined) return [];
  const { stream } = outerSourceOf(reader.pipeline.definition);
  return deployed.flatMap((each) => {
    const [first, ...others] = sinksOf(each.pipeline.definition).filter(
      (sink): sink is KinesisSink => sink.kind === 'kinesis' && sink.stream === stream,
    );
    return first === undefined ? [] : [{ deployed: each, sinks: [first, ...others] }];
  });
}

/** What feeds a chained pipeline; `undefined` where its source is no chained one, or is given. */
export function upstreamOf(deployed: Deployed, reader: StatefulPipelineProps): Upstream | undefined {
  if (outerSourceOf(reader.pipeline.definition).chained === undefined) return undefined;
  return writersFor(deployed, reader)[0];
}

/**
 * The pipeline of which this one is a fork, where it reads the stream that the other's stack makes; `undefined` where the
 * stream is given, or made by a third.
 */
export function streamOwnerOf(
  deployed: Deployed,
  { forkOf, stream, pipeline }: StatefulPipelineProps,
): StatefulPipelineProps | undefined {
  if (forkOf === undefined || stream !== undefined) return undefined;
  if (outerSourceOf(pipeline.definition).chained !== undefined) return undefined;
  const { name } = forkOf.definition;
  const owner = deployed.find((each) => nameOf(each) === name);
  if (owner !== undefined) return owner;
  throw new Error(
    `Pipeline ${JSON.stringify(nameOf({ pipeline }))} is a fork of ${JSON.stringify(name)}, which is not deployed here: list ` +
      'it in infra/pipelines.ts, or give the stream that both read as "stream".',
  );
}

/**
 * The pipeline with all that feed it, or whose stream it shares, each behind the one that it needs.
 * @throws Error when there is no such pipeline, or when it feeds itself.
 */
export function chainTo(
  deployed: Deployed,
  name: string,
): readonly [StatefulPipelineProps, ...StatefulPipelineProps[]] {
  const last = deployed.find((each) => nameOf(each) === name);
  if (last === undefined) {
    throw new Error(
      `There is no pipeline ${JSON.stringify(name)}; there are ${JSON.stringify(deployed.map(nameOf))}. ` +
        'Pipelines are listed in infra/pipelines.ts.',
    );
  }
  const chain: [StatefulPipelineProps, ...StatefulPipelineProps[]] = [last];
  for (;;) {
    const next = upstreamOf(deployed, chain[0])?.deployed ?? streamOwnerOf(deployed, chain[0]);
    if (next === undefined) return chain;
    if (chain.includes(next)) {
      const circle = [next, ...chain].map(nameOf).join(' -> ');
      throw new Error(
        `Pipelines feed each other in a circle: ${circle}. Let one of them read another stream.`,
      );
    }
    chain.unshift(next);
  }
}

/** Hours that a sink's stream must keep records for the chained pipelines that read it, by name of the sink. */
export function sinkRetentionHours(
  deployed: Deployed,
  writer: StatefulPipelineProps,
): Readonly<Record<string, number>> {
  const hours: Record<string, number> = {};
  for (const reader of deployed) {
    const upstream = upstreamOf(deployed, reader);
    if (upstream?.deployed !== writer) continue;
    for (const { name } of upstream.sinks)
      hours[name] = outerSourceOf(reader.pipeline.definition).retentionHours;
  }
  return { ...hours, ...writer.sinkRetentionHours };
}

/**
 * What cannot be right about a pipeline as a part of a chain, one text for each, with what is allowed and what to do.
 * What the pipelines' own settings tell is in refuse-wrong-settings.ts.
 */
export function* chainProblems(deployed: Deployed, reader: StatefulPipelineProps): Generator<string> {
  const source = outerSourceOf(reader.pipeline.definition);
  const [upstream, ...others] = writersFor(deployed, reader);
  const stream = JSON.stringify(source.stream);
  if (source.chained === undefined) {
    if (upstream === undefined || upstream.deployed === reader) return;
    yield (
      `It reads ${stream}, which is also what pipeline ${JSON.stringify(nameOf(upstream.deployed))} writes: chain ` +
      'them with from(outputsOf(...)), so that both mean one stream and no output counts twice, or rename one stream.'
    );
    return;
  }
  if (reader.stream !== undefined) return;
  if (upstream === undefined) {
    const written = deployed.flatMap((each) =>
      sinksOf(each.pipeline.definition).flatMap((sink) => (sink.kind === 'kinesis' ? [sink.stream] : [])),
    );
    yield (
      `It reads the outputs in ${stream}, and no listed pipeline has a Kinesis sink of that name (there are ` +
      `${JSON.stringify(written)}): list the pipeline that writes it in infra/pipelines.ts, or give "stream".`
    );
    return;
  }
  if (others.length > 0) {
    const writers = [upstream, ...others].map((each) => nameOf(each.deployed));
    yield (
      `It reads ${stream}, which several pipelines write (${JSON.stringify(writers)}), each to a stream of its own: ` +
      'rename all but one, or give them one stream with "sinkStreams" and this one with "stream".'
    );
  }
  for (const setting of ['shardCount', 'streamMode'] as const) {
    if (reader[setting] === undefined) continue;
    yield (
      `${setting} is ${JSON.stringify(reader[setting])}, but the source is the sink stream of pipeline ` +
      `${JSON.stringify(nameOf(upstream.deployed))}: remove it, and set "sinkShardCount" there.`
    );
  }
  for (const { name } of upstream.sinks) {
    const hours = sinkRetentionHours(deployed, upstream.deployed)[name];
    if (upstream.deployed.sinkStreams?.[name] !== undefined || hours === source.retentionHours) continue;
    yield (
      `Its source says retentionHours ${source.retentionHours}, and the stream between it and pipeline ` +
      `${JSON.stringify(nameOf(upstream.deployed))} keeps records for ${hours}: marks are kept for the time that the ` +
      'source says, so let "sinkRetentionHours" there and every reader of the stream say the same.'
    );
  }
}
