import type { StandardSchemaV1 } from '@standard-schema/spec';
import * as v from 'valibot';
import { describe, expectTypeOf, it } from 'vitest';
import {
  all,
  collect,
  count,
  countByValue,
  distinct,
  dynamodb,
  first,
  frequent,
  kinesis,
  listState,
  mapState,
  max,
  maxBy,
  mean,
  min,
  outputs,
  outputsOf,
  pipeline,
  session,
  sliding,
  stats,
  sum,
  topN,
  tumbling,
  valueState,
  variance,
  where,
  type Aggregation,
  type DynamoDbOutput,
  type KeyedStream,
  type FrequentValue,
  type KeyedOutput,
  type KinesisInput,
  type KinesisOutput,
  type ListState,
  type MapState,
  type Measured,
  type Pipeline,
  type Stats as Moments,
  type Stream,
  type ValueCount,
  type WindowResult,
} from '../../shared/index.ts';

// Checked by the compiler alone, with `npm run types`: a line marked as an expected error must be one.

const Flight = v.object({
  origin: v.string(),
  delay: v.pipe(v.string(), v.transform(Number)),
  note: v.optional(v.string()),
});
interface FlightValue {
  origin: string;
  delay: number;
  note?: string | undefined;
}
interface Stats {
  readonly count: number;
  readonly sum: number;
}

const flights = pipeline('p').from(kinesis('flights', { schema: Flight }));
const byOrigin = flights.keyBy((flight) => flight.origin);

describe('types', () => {
  it('flow through windows, joins and timers', () => {
    const timed = flights.eventTime(({ delay }) => delay).keyBy(({ origin }) => origin);
    expectTypeOf(timed.window(sliding({ hours: 2 }, { hours: 1 })).count('n')).toEqualTypeOf<
      KeyedStream<WindowResult<number>, true>
    >();
    expectTypeOf(
      timed.window(session({ hours: 2 })).aggregate('n', all({ delay: mean(({ delay }) => delay) })),
    ).toExtend<KeyedStream<WindowResult<{ readonly delay: number | null }>, true>>();
    expectTypeOf(
      timed.process<number, string>('p', { onRecord: (flight, { emit }) => emit(flight.origin) }),
    ).toEqualTypeOf<KeyedStream<string, true>>();
    // States are named and typed once, in the call or by their declarations.
    timed.process<number, string, { seen: MapState<number>; list: ListState<FlightValue> }>('p', {
      states: { seen: mapState({ ttl: { hours: 1 }, refreshedBy: 'readAndWrite' }), list: listState() },
      onRecord: (flight, { get, states, emit }) => {
        expectTypeOf(get()).toEqualTypeOf<number | undefined>();
        expectTypeOf(states.seen.get(flight.origin)).toEqualTypeOf<number | undefined>();
        states.list.append(flight);
        emit(flight.origin);
      },
      onTimer: (_, { states }) => {
        expectTypeOf(states.list.get()).toEqualTypeOf<readonly FlightValue[]>();
      },
    });
    timed.process('p', {
      states: { last: valueState<FlightValue>({ ttl: { hours: 1 } }), seen: mapState<number>() },
      onRecord: (flight, { states }) => {
        expectTypeOf(states.last.get()).toEqualTypeOf<FlightValue | undefined>();
        states.seen.set(flight.origin, flight.delay);
        // @ts-expect-error it holds numbers
        states.seen.set(flight.origin, flight.origin);
        // @ts-expect-error nothing is declared under this name
        void states.other;
      },
    });
    timed.process<never, string, { list: ListState<number> }>('p', {
      // @ts-expect-error a list is declared as a map
      states: { list: mapState<number>() },
      onRecord: () => undefined,
    });
    // @ts-expect-error its states are not declared
    timed.process<never, string, { list: ListState<number> }>('p', { onRecord: () => undefined });
    // @ts-expect-error no state is declared
    timed.process<never, string>('p', { onRecord: (_, { states }) => void states.list });
    timed.process<number, string>('p', {
      onRecord: (_, { timers, processingMs }) => {
        timers.processing.set('t', processingMs + 1_000);
        expectTypeOf(timers.processing.get('t')).toEqualTypeOf<number | undefined>();
        // @ts-expect-error a Date or milliseconds
        timers.processing.set('t', '10 seconds');
        // @ts-expect-error one kind is within the other, and not the other way round
        void timers.processing.processing;
      },
      onProcessingTimer: (timer, { get }) => {
        expectTypeOf(timer).toEqualTypeOf<string>();
        expectTypeOf(get()).toEqualTypeOf<number | undefined>();
      },
    });
    // @ts-expect-error days, hours, minutes and seconds
    listState({ ttl: 5 });
    // @ts-expect-error by a write, or by reads too
    listState({ ttl: { hours: 1 }, refreshedBy: 'read' });
    const outer = timed.leftOuterJoin('j', {
      left: (flight): flight is FlightValue & { note: string } => flight.note !== undefined,
      right: (flight): flight is FlightValue => flight.note === undefined,
      within: { after: { hours: 1 } },
    });
    outer.map(({ left, right }) => {
      expectTypeOf(left.note).toEqualTypeOf<string>();
      expectTypeOf(right).toEqualTypeOf<FlightValue | null>();
      return 1;
    });
    // Still timed: windows may follow windows.
    timed
      .window(tumbling({ hours: 1 }))
      .count('n')
      .window(tumbling({ hours: 2 }))
      .count('m');
  });

  it('flow from the schema, what it transforms included, to the sink without annotations', () => {
    expectTypeOf(flights).toEqualTypeOf<Stream<FlightValue>>();
    expectTypeOf(byOrigin).toEqualTypeOf<KeyedStream<FlightValue>>();
    const stats = byOrigin.updateStateByKey<Stats>('stats', (values, state, key) => {
      expectTypeOf(values).toEqualTypeOf<readonly FlightValue[]>();
      expectTypeOf(state).toEqualTypeOf<Stats | undefined>();
      expectTypeOf(key).toEqualTypeOf<string>();
      return { count: (state?.count ?? 0) + 1, sum: (state?.sum ?? 0) + (values[0]?.delay ?? 0) };
    });
    expectTypeOf(stats).toEqualTypeOf<KeyedStream<Stats>>();
    expectTypeOf(stats.to(kinesis('out'))).toExtend<Pipeline>();
    expectTypeOf(stats.to(kinesis<Stats>('out'))).toEqualTypeOf<KeyedStream<Stats>>();
    expectTypeOf(stats.to(dynamodb<Stats>('table', { key: (value) => `${value.count}` }))).toEqualTypeOf<
      KeyedStream<Stats>
    >();
  });

  it('flow through stateless operators before and after keyBy', () => {
    expectTypeOf(flights.map(({ delay }) => delay)).toEqualTypeOf<Stream<number>>();
    expectTypeOf(flights.flatMap(({ origin }) => [origin])).toEqualTypeOf<Stream<string>>();
    expectTypeOf(flights.filter(({ delay }) => delay > 0)).toEqualTypeOf<Stream<FlightValue>>();
    expectTypeOf(byOrigin.map(({ delay }) => delay)).toEqualTypeOf<KeyedStream<number>>();
    expectTypeOf(
      byOrigin.flatMap(function* ({ delay }) {
        yield delay;
      }),
    ).toEqualTypeOf<KeyedStream<number>>();
    const isNoted = (flight: FlightValue): flight is FlightValue & { note: string } =>
      flight.note !== undefined;
    expectTypeOf(flights.filter(isNoted)).toEqualTypeOf<Stream<FlightValue & { note: string }>>();
    expectTypeOf(byOrigin.filter(isNoted)).toEqualTypeOf<KeyedStream<FlightValue & { note: string }>>();
    expectTypeOf(flights.transform((stream) => stream.map(String).keyBy((text) => text))).toEqualTypeOf<
      KeyedStream<string>
    >();
  });

  it('of operators follow from their functions', () => {
    const mapped = byOrigin.mapWithState<number, { seen: number }>('n', (flight, state, key) => {
      expectTypeOf(flight).toEqualTypeOf<FlightValue>();
      expectTypeOf(state.get()).toEqualTypeOf<number | undefined>();
      expectTypeOf(key).toEqualTypeOf<string>();
      return state.exists() ? { seen: 1 } : undefined;
    });
    expectTypeOf(mapped).toEqualTypeOf<KeyedStream<{ seen: number }>>();
    expectTypeOf(byOrigin.map(({ delay }) => delay).reduceByKey('sum', (a, b) => a + b)).toEqualTypeOf<
      KeyedStream<number>
    >();
    expectTypeOf(
      byOrigin.aggregateByKey(
        'mean',
        () => ({ count: 0, sum: 0 }),
        (total, { delay }) => ({ count: total.count + 1, sum: total.sum + delay }),
      ),
    ).toEqualTypeOf<KeyedStream<{ count: number; sum: number }>>();
    expectTypeOf(
      byOrigin.forEach('call', ({ id, key, value }) => {
        expectTypeOf(id).toEqualTypeOf<string>();
        expectTypeOf(key).toEqualTypeOf<string>();
        expectTypeOf(value).toEqualTypeOf<FlightValue>();
      }),
    ).toEqualTypeOf<KeyedStream<FlightValue>>();
  });

  it('of aggregations follow from the stream, through compositions too', () => {
    const summary = byOrigin.aggregate(
      'summary',
      all({
        flights: count(),
        late: where((flight) => flight.delay > 15, count()),
        delay: mean((flight) => flight.delay),
        spread: variance((flight) => flight.delay, { of: 'sample' }),
        worst: maxBy((flight) => flight.delay),
        notes: distinct((flight) => flight.note ?? '', { precision: 10 }),
        nested: all({ least: min(({ origin }) => origin), moments: stats(({ delay }) => delay) }),
        first: first(),
        some: collect({ limit: 3, beyond: 'dropOldest' }),
        origins: countByValue((flight) => flight.origin, { limit: 5 }),
        often: frequent(5, { of: (flight) => flight.delay > 15 }),
        top: topN(3, { of: (flight) => flight.origin, by: (flight) => flight.delay }),
        topWhole: topN(3, { by: (flight) => flight.origin }),
      }),
    );
    expectTypeOf(summary).toEqualTypeOf<
      KeyedStream<{
        readonly flights: number;
        readonly late: number;
        readonly delay: number | null;
        readonly spread: number | null;
        readonly worst: FlightValue | null;
        readonly notes: number;
        readonly nested: { readonly least: string | null; readonly moments: Moments };
        readonly first: FlightValue | null;
        readonly some: readonly FlightValue[];
        readonly origins: readonly ValueCount<string>[];
        readonly often: readonly FrequentValue<boolean>[];
        readonly top: readonly Measured<string, number>[];
        readonly topWhole: readonly Measured<FlightValue, string>[];
      }>
    >();
    expectTypeOf(byOrigin.aggregate('n', count())).toEqualTypeOf<KeyedStream<number>>();
    expectTypeOf(
      byOrigin.aggregate(
        'max',
        max(({ delay }) => delay),
      ),
    ).toEqualTypeOf<KeyedStream<number | null>>();
    expectTypeOf(
      byOrigin.aggregate(
        'sum',
        sum(({ delay }) => delay),
        { emit: 'every' },
      ),
    ).toEqualTypeOf<KeyedStream<number>>();
    expectTypeOf(count().remove).toEqualTypeOf<(values: number, value: unknown) => number>();
    const reused = all({ flights: count(), delay: mean((row: { delay: number }) => row.delay) });
    expectTypeOf(byOrigin.aggregate('reused', reused)).toEqualTypeOf<
      KeyedStream<{ readonly flights: number; readonly delay: number | null }>
    >();
    const own = {} as Aggregation<{ delay: number }, string[], Date>;
    expectTypeOf(byOrigin.aggregate('own', own)).toEqualTypeOf<KeyedStream<Date>>();
  });

  it('pass through dedupeBy', () => {
    expectTypeOf(byOrigin.dedupeBy(({ origin }) => origin, { within: { hours: 1 } })).toEqualTypeOf<
      KeyedStream<FlightValue>
    >();
    const timed = flights
      .arrivalTime()
      .watermark({ lateness: { hours: 1 } })
      .keyBy(({ origin }) => origin);
    expectTypeOf(timed.dedupeBy(({ origin }) => origin)).toEqualTypeOf<KeyedStream<FlightValue, true>>();
  });

  it('of sources follow from codec and schema', () => {
    expectTypeOf(kinesis('s', { codec: 'text' })).toEqualTypeOf<KinesisInput<string>>();
    expectTypeOf(kinesis('s', { codec: 'bytes' })).toEqualTypeOf<KinesisInput<Uint8Array>>();
    expectTypeOf(kinesis('s', { schema: Flight, retentionHours: 48 })).toEqualTypeOf<
      KinesisInput<FlightValue>
    >();
    expectTypeOf(kinesis('s')).toEqualTypeOf<KinesisInput<unknown> & KinesisOutput<unknown>>();
    expectTypeOf(kinesis<number>('s', { name: 'other' })).toEqualTypeOf<KinesisOutput<number>>();
    expectTypeOf(dynamodb<number>('t')).toEqualTypeOf<DynamoDbOutput<number>>();
    const byHand = {} as StandardSchemaV1<unknown, { id: 1 }>;
    expectTypeOf(pipeline('p').from(kinesis('s', { schema: byHand }))).toEqualTypeOf<Stream<{ id: 1 }>>();
  });

  it('of a chain follow from the schema of what is between', () => {
    const first = byOrigin.to(kinesis('out'));
    expectTypeOf(outputs('out', { schema: Flight, upstreamRetentionHours: 24 })).toEqualTypeOf<
      KinesisInput<FlightValue>
    >();
    expectTypeOf(outputs<number>('out', { upstreamRetentionHours: 24 })).toEqualTypeOf<
      KinesisInput<number>
    >();
    expectTypeOf(outputs('out', { upstreamRetentionHours: 24 })).toEqualTypeOf<KinesisInput<unknown>>();
    expectTypeOf(outputsOf(first, 'out', { schema: Flight, retentionHours: 48 })).toEqualTypeOf<
      KinesisInput<FlightValue>
    >();
    expectTypeOf(outputsOf<number>(first, 'out')).toEqualTypeOf<KinesisInput<number>>();
    expectTypeOf(outputsOf<number>(first, 'out', { withKey: true })).toEqualTypeOf<
      KinesisInput<KeyedOutput<number>>
    >();
    expectTypeOf(outputsOf(first, 'out', { schema: Flight, withKey: true })).toEqualTypeOf<
      KinesisInput<KeyedOutput<FlightValue>>
    >();
    expectTypeOf(pipeline('second').from(outputsOf(first, 'out', { schema: Flight }))).toEqualTypeOf<
      Stream<FlightValue>
    >();
  });

  it('pass a repartition as they are', () => {
    expectTypeOf(flights.repartition('by-origin', ({ origin }) => origin)).toEqualTypeOf<
      Stream<FlightValue>
    >();
    expectTypeOf(
      flights.repartition('by-origin', ({ origin }) => origin, { retentionHours: 48 }),
    ).toEqualTypeOf<Stream<FlightValue>>();
    expectTypeOf(pipeline('p').from(kinesis('s')).repartition('r', String)).toEqualTypeOf<Stream<unknown>>();
  });

  it('let a sink take a wider type than the stream has', () => {
    expectTypeOf(byOrigin.to(kinesis<{ origin: string }>('out'))).toEqualTypeOf<KeyedStream<FlightValue>>();
    expectTypeOf(byOrigin.to(dynamodb('out'))).toEqualTypeOf<KeyedStream<FlightValue>>();
  });
});

describe('what must not compile', () => {
  it('is reading what is not there', () => {
    flights.map((flight) => {
      // @ts-expect-error a flight has no destination
      void flight.destination;
    });
    pipeline('p')
      .from(kinesis('s'))
      .map((value) => {
        // @ts-expect-error a value without a schema is unknown
        void value.origin;
      });
    // @ts-expect-error the state may be missing
    byOrigin.updateStateByKey<Stats>('s', (_, state) => ({ count: state.count, sum: 0 }));
    // @ts-expect-error the list of values may be empty for the compiler
    byOrigin.updateStateByKey<number>('s', ([flight]) => flight.delay);
  });

  it('is a repartition of what JSON does not give back', () => {
    const dated = flights.map(({ origin }) => ({ origin, at: new Date(0) }));
    // @ts-expect-error JSON writes a date as text
    dated.repartition('r', ({ origin }) => origin);
    const listed = flights.map(() => ({ list: [1n] }));
    // @ts-expect-error JSON has no bigints
    listed.repartition('r', () => 'k');
    const packed = pipeline('p').from(kinesis('s', { codec: 'bytes' }));
    // @ts-expect-error JSON has no bytes
    packed.repartition('r', () => 'k');
    // @ts-expect-error a key is a string
    flights.repartition('r', ({ delay }) => delay);
  });

  it('is a key that is no text', () => {
    // @ts-expect-error a key is a string
    flights.keyBy((flight) => flight.delay);
    // @ts-expect-error a key is never missing
    flights.keyBy((flight) => flight.note);
    // @ts-expect-error a key is there at once
    flights.keyBy(async (flight) => flight.origin);
  });

  it('is state before there is a key, and a pipeline without one', () => {
    // @ts-expect-error state belongs to a key
    void flights.updateStateByKey;
    // @ts-expect-error state belongs to a key
    void flights.mapWithState;
    // @ts-expect-error a sink needs a key to keep the order by
    void flights.to;
    // @ts-expect-error a stream without a key is no pipeline yet
    flights satisfies Pipeline;
    // @ts-expect-error a key is given once
    void byOrigin.keyBy;
  });

  it('is a sink for values of another type', () => {
    // @ts-expect-error the stream has flights, and the sink takes numbers
    byOrigin.to(kinesis<number>('out'));
    // @ts-expect-error the stream has flights, and the table takes stats
    byOrigin.to(dynamodb<Stats>('out'));
    // @ts-expect-error the key function reads what a flight has not
    byOrigin.to(kinesis('out', { key: (stats: Stats) => `${stats.count}` }));
    // @ts-expect-error a destination key is a string
    byOrigin.to(kinesis('out', { key: (flight: FlightValue) => flight.delay }));
  });

  it('is a source with a sink’s options, or a sink with a source’s', () => {
    // @ts-expect-error a sink has no schema
    byOrigin.to(kinesis('out', { schema: Flight }));
    // @ts-expect-error a source has no key function
    pipeline('p').from(kinesis('in', { key: () => 'k' }));
    // @ts-expect-error a source has no name of its own
    pipeline('p').from(kinesis('in', { name: 'other' }));
    // @ts-expect-error a schema is for JSON
    kinesis('in', { schema: Flight, codec: 'text' });
    // @ts-expect-error there is no such codec
    kinesis('in', { codec: 'xml' });
    // @ts-expect-error a table is no source
    pipeline('p').from(dynamodb('in'));
  });

  it('is a chain that does not say what it follows', () => {
    // @ts-expect-error for how long outputs may be put again is not to be guessed
    outputs('out', { schema: Flight });
    // @ts-expect-error envelopes are JSON
    outputs('out', { upstreamRetentionHours: 24, codec: 'bytes' });
    // @ts-expect-error outputs are read, not written
    byOrigin.to(outputs('out', { upstreamRetentionHours: 24 }));
    // @ts-expect-error a stream without a key has no sink
    outputsOf(flights, 'out');
  });

  it('is a function that gives another state or output than it says', () => {
    // @ts-expect-error the state is a number
    byOrigin.updateStateByKey<number>('s', () => 'one');
    // @ts-expect-error the state is there at once
    byOrigin.updateStateByKey<number>('s', async () => 1);
    byOrigin.mapWithState<number, string>('s', (_, state) => {
      // @ts-expect-error the state is a number
      state.update('one');
      return 'one';
    });
    // @ts-expect-error the output is a string
    byOrigin.mapWithState<number, string>('s', () => 1);
    // @ts-expect-error a reduction gives what it takes
    byOrigin.reduceByKey('s', () => 1);
    // @ts-expect-error the initial state is a number
    byOrigin.updateStateByKey<number>('s', () => 1, { initial: () => 'one' });
    // @ts-expect-error an asynchronous filter would let everything pass
    flights.filter(async () => false);
    // @ts-expect-error an operator of events has no choice of what it emits
    byOrigin.mapWithState<number, number>('s', () => 1, { emit: 'last' });
    const zeroed = { initial: () => 1 };
    // @ts-expect-error zero is what aggregateByKey begins with
    zeroed satisfies Parameters<typeof byOrigin.aggregateByKey<number>>[3];
  });

  it('is an aggregation of other values, or of what cannot be aggregated', () => {
    // @ts-expect-error a flight has no distance
    byOrigin.aggregate('sum', all({ far: sum((flight) => Number(flight.distance)) }));
    const ofFlights = {
      // @ts-expect-error texts are not added up
      sum: sum((flight: FlightValue) => flight.origin),
      // @ts-expect-error a flight as a whole cannot be compared
      max: max((flight: FlightValue) => flight),
      // @ts-expect-error a note may be missing
      notes: countByValue((flight: FlightValue) => flight.note),
      // @ts-expect-error a value is there at once
      delays: distinct(async (flight: FlightValue) => flight.delay),
      // @ts-expect-error what is collected is limited
      flights: collect(),
    };
    void ofFlights;
    // @ts-expect-error an aggregation has its own beginning
    byOrigin.aggregate('flights', count(), { initial: () => 1 });
    const ofNumbers = {} as Aggregation<number, number, number>;
    // @ts-expect-error the stream has flights
    byOrigin.aggregate('flights', ofNumbers);
    // @ts-expect-error the condition reads what a flight has not
    byOrigin.aggregate('far', all({ far: where(({ distance }) => distance > 1, count()) }));
    const ofRows = all({ rows: count(), size: sum((row: { size: number }) => row.size) });
    // @ts-expect-error the stream has flights
    byOrigin.aggregate('rows', ofRows);
    const { remove } = max((flight: FlightValue) => flight.delay);
    // @ts-expect-error what is added cannot be taken out of a greatest
    remove(1, { origin: 'ATL', delay: 1 });
    // @ts-expect-error state belongs to a key
    void flights.aggregate;
  });

  it('is deduplication without a time, by an id that is no text, or before there is a key', () => {
    const within = { minutes: 5 };
    // @ts-expect-error an id is a string
    byOrigin.dedupeBy(({ delay }) => delay, { within });
    // @ts-expect-error an id is never missing
    byOrigin.dedupeBy(({ note }) => note, { within });
    // @ts-expect-error an id is there at once
    byOrigin.dedupeBy(async ({ origin }) => origin, { within });
    // @ts-expect-error ids are not remembered for ever
    byOrigin.dedupeBy(({ origin }) => origin, { limit: 10 });
    // @ts-expect-error a time has a unit
    byOrigin.dedupeBy(({ origin }) => origin, { within: 5 });
    // @ts-expect-error there are days, hours, minutes and seconds
    byOrigin.dedupeBy(({ origin }) => origin, { within: { weeks: 1 } });
    // @ts-expect-error there is no watermark that bounds it
    byOrigin.dedupeBy(({ origin }: FlightValue) => origin);
    // @ts-expect-error ids are remembered under a key
    void flights.dedupeBy;
  });

  it('is a window, a timer or a join without a time', () => {
    const within = { after: { minutes: 5 } };
    const isOne = (flight: FlightValue): flight is FlightValue => flight.delay > 0;
    // @ts-expect-error there is no event time
    byOrigin.window(tumbling({ minutes: 5 }));
    // @ts-expect-error there is no event time
    byOrigin.process('p', { onRecord: () => undefined });
    // @ts-expect-error there is no event time
    byOrigin.join('j', { left: isOne, right: isOne, within });
    // @ts-expect-error there is no event time
    byOrigin.perBatch();
    // @ts-expect-error a watermark is of event time
    flights.watermark({ lateness: { minutes: 1 } });
    // @ts-expect-error a time is a Date or a number
    flights.eventTime((flight) => flight.origin);
    const timed = flights.arrivalTime().keyBy(({ origin }) => origin);
    // @ts-expect-error a window is closed or updated
    timed.window(tumbling({ minutes: 5 }), { emit: 'sometimes' });
    // @ts-expect-error the gap is read from a flight
    timed.window(session<{ size: number }>(({ size }) => size));
    // @ts-expect-error a join has a bound
    timed.join('j', { left: isOne, right: isOne });
    // @ts-expect-error windows have results, and no running state of their own
    void timed.window(tumbling({ minutes: 5 })).updateStateByKey;
  });

  it('is a policy or a way to upsert that does not exist', () => {
    pipeline('p', { onRecordError: 'parkKey' });
    // @ts-expect-error there are deadLetter, parkKey and stop
    pipeline('p', { onRecordError: 'ignore' });
    // @ts-expect-error there are key and id
    dynamodb('t', { upsertBy: 'value' });
    // @ts-expect-error there are last and every
    byOrigin.updateStateByKey<number>('s', () => 1, { emit: 'first' });
  });

  it('is changing a definition', () => {
    // @ts-expect-error a definition is frozen
    byOrigin.definition.name = 'other';
    // @ts-expect-error so are its stages
    void byOrigin.definition.keyedStages.push;
  });
});
