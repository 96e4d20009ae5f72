import { nullable, number, object, string } from 'valibot';
import {
  all,
  count,
  dynamodb,
  kinesis,
  max,
  pipeline,
  session,
  where,
  type ProcessContext,
  type WindowResult,
} from '../../shared/index.ts';
import { deviation, running, withValue, type Running } from './running.ts';

/** A feature of the USGS's GeoJSON feeds. */
const Quake = object({
  properties: object({ mag: nullable(number()), place: string(), time: number() }),
});

/** Quakes of a region that come within half an hour of each other belong together. */
const SEQUENCE_GAP = { minutes: 30 };
/** Before it has seen so many sequences of a region, the watch does not know what is normal there. */
const SEQUENCES_KNOWN = 10;
/** What lies more standard deviations above the mean is not normal. */
const DEVIATIONS = 3;
/** A region whose sequences were all alike is not alarmed by the next larger one. */
const LEAST_DEVIATION = { quakes: 1, magnitude: 0.3 };
/** A region is silent when nothing has come for so many times its usual pause. */
const SILENT_PAUSES = 4;

/** What was quite unlike a region's own past. */
export interface Alert {
  readonly region: string;
  /**
   * `swarm`: many quakes one behind the other; `strong`: the strongest of them; `silent`: for long no sequence has ended;
   * `active`: the first to end after that, which may have begun before.
   */
  readonly kind: 'swarm' | 'strong' | 'silent' | 'active';
  /** Event time. */
  readonly at: string;
  /** How many quakes, which magnitude, or how many hours. */
  readonly value: number;
  /** What it usually is there. */
  readonly usual: number;
}

/** What is normal in a region. */
interface Normal {
  readonly quakes: Running;
  readonly magnitude: Running;
  /** From the end of one sequence to that of the next, milliseconds. */
  readonly pauseMs: Running;
  readonly lastEnd: number;
  readonly isSilent: boolean;
}

interface Sequence {
  readonly quakes: number;
  readonly strongest: number | string | null;
}

/**
 * Sequences of quakes per region, each judged by those before it, and an alarm for a region that falls silent. Nothing
 * here goes by the order in which records come: behind the sessions all happens in event time.
 */
export default pipeline('earthquake-watch')
  .from(kinesis('earthquakes', { schema: Quake }))
  .map(({ properties: { mag, place, time } }) => ({ region: regionOf(place), magnitude: mag, time }))
  .eventTime(({ time }) => time)
  .watermark({ lateness: { minutes: 5 } })
  .keyBy(({ region }) => region)
  .window(session(SEQUENCE_GAP))
  .aggregate(
    'sequences',
    all({
      quakes: count(),
      strongest: where(
        ({ magnitude }) => magnitude !== null,
        max(({ magnitude }) => magnitude ?? 0),
      ),
    }),
  )
  .process<Normal, Alert>('normal', { onRecord: judge, onTimer: alarm })
  .to(dynamodb('earthquake-alerts', { key: alertName }));

type Watch = ProcessContext<Normal, Alert>;

function judge({ window: { end }, value }: WindowResult<Sequence>, context: Watch): void {
  const normal = context.get();
  const quakes = normal?.quakes ?? running();
  const magnitude = normal?.magnitude ?? running();
  const strongest = typeof value.strongest === 'number' ? value.strongest : undefined;
  const raise = (kind: Alert['kind'], measured: number, usual: number): void =>
    context.emit({ region: context.key, kind, at: timeOf(end), value: measured, usual });

  if (isAbove(value.quakes, quakes, LEAST_DEVIATION.quakes)) raise('swarm', value.quakes, quakes.mean);
  if (strongest !== undefined && isAbove(strongest, magnitude, LEAST_DEVIATION.magnitude)) {
    raise('strong', strongest, magnitude.mean);
  }
  let pauseMs = normal?.pauseMs ?? running();
  if (normal !== undefined) {
    const ownMs = end - normal.lastEnd;
    if (normal.isSilent) raise('active', hours(ownMs), hours(pauseMs.mean));
    pauseMs = withValue(pauseMs, ownMs);
  }
  context.update({
    quakes: withValue(quakes, value.quakes),
    magnitude: strongest === undefined ? magnitude : withValue(magnitude, strongest),
    pauseMs,
    lastEnd: end,
    isSilent: false,
  });
  if (pauseMs.count >= SEQUENCES_KNOWN) context.timers.set('silent', end + SILENT_PAUSES * pauseMs.mean);
}

function alarm(_: string, context: Watch): void {
  const normal = context.get();
  if (normal === undefined) return;
  const { lastEnd, pauseMs } = normal;
  const value = hours(context.eventMs - lastEnd);
  context.emit({
    region: context.key,
    kind: 'silent',
    at: timeOf(context.eventMs),
    value,
    usual: hours(pauseMs.mean),
  });
  context.update({ ...normal, isSilent: true });
}

function isAbove(value: number, past: Running, leastDeviation: number): boolean {
  if (past.count < SEQUENCES_KNOWN) return false;
  return value > past.mean + DEVIATIONS * Math.max(deviation(past), leastDeviation);
}

/** The feed ends most places with the country or the state; states it also shortens. */
function regionOf(place: string): string {
  const region = place.slice(place.lastIndexOf(',') + 1).trim();
  return FULL_NAMES.get(region) ?? region;
}

const FULL_NAMES: ReadonlyMap<string, string> = new Map([
  ['CA', 'California'],
  ['NV', 'Nevada'],
  ['MX', 'Mexico'],
]);

/** One item per alert, sorted by time where names are. */
function alertName({ at, region, kind }: Alert): string {
  return `${at} ${region} ${kind}`;
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}

function hours(milliseconds: number): number {
  return milliseconds / 3_600_000;
}
