import { Duration } from 'aws-cdk-lib';
import { AttributeType, Table } from 'aws-cdk-lib/aws-dynamodb';
import { StreamMode, Stream } from 'aws-cdk-lib/aws-kinesis';
import { StartingPosition } from 'aws-cdk-lib/aws-lambda';
import { describe, expect, it } from 'vitest';
import { StatefulPipeline } from '../../../infra/constructs/stateful-pipeline.ts';
import { kinesis, lookupTable, pipeline } from '../../../shared/index.ts';
import { SMALL_HANDLER_FILE, LATEST, MAIL, ordersPipeline, TOTALS } from './fixtures/orders-pipeline.ts';
import { emptyStack, type OrdersSettings } from './fixtures/orders-stack.ts';

const EXISTING_ARN = 'arn:aws:kinesis:eu-west-1:111122223333:stream/all-orders';

/** The one problem that these settings have, as the error tells it. */
function problemWith(settings: OrdersSettings, stack = emptyStack()): string {
  const problems = problemsWith(settings, stack);
  expect(problems).toHaveLength(1);
  return problems[0] ?? '';
}

function problemsWith(settings: OrdersSettings, stack = emptyStack()): string[] {
  try {
    new StatefulPipeline(stack, 'Pipeline', {
      pipeline: ordersPipeline(),
      handlerFile: SMALL_HANDLER_FILE,
      ...settings,
    });
  } catch (error) {
    expect(stack.node.children.filter((child) => child instanceof StatefulPipeline)).toEqual([]);
    const [head, ...problems] = (error as Error).message.split('\n- ');
    expect(head).toMatch(/^Pipeline ".*" cannot be deployed:$/);
    return problems;
  }
  return [];
}

describe('settings that lose data are refused', () => {
  it.each([0, 5, 10_000])('%i retries', (maximumRetryAttempts) => {
    expect(problemWith({ maximumRetryAttempts })).toBe(
      `maximumRetryAttempts is ${maximumRetryAttempts}; only -1, endless, is allowed, because Lambda discards the ` +
        'records on which it gives up and their effect on state would be lost. Remove it: records that user code ' +
        'rejects become dead letters, and a record that kills the process is found and set aside.',
    );
  });

  it('accepts -1 retries, which are endless', () => {
    expect(problemsWith({ maximumRetryAttempts: -1 })).toEqual([]);
  });

  it('a finite record age', () => {
    expect(problemWith({ maximumRecordAge: Duration.days(7) })).toBe(
      'maximumRecordAge is 604800 seconds; only endless is allowed, because Lambda discards older records and their ' +
        "effect on state would be lost. Remove it; the source's retentionHours say how long records are kept.",
    );
  });
});

describe('names that cannot be used are refused', () => {
  it.each(['1-orders', '-orders', 'orders_eu', 'orders/eu', 'bestellungen-für-alle', ''])('%j', (name) => {
    expect(problemWith({ pipeline: ordersPipeline({ name }) })).toBe(
      `The pipeline's name is ${JSON.stringify(name)}; it must be letters, digits and hyphens, beginning with a ` +
        'letter, because a stack carries it, such as "airport-delays": rename it.',
    );
  });

  it('one of 64 characters, while 63 are accepted', () => {
    expect(problemWith({ pipeline: ordersPipeline({ name: 'o'.repeat(64) }) })).toBe(
      "The pipeline's name has 64 characters; at most 63 are allowed: shorten it.",
    );
    expect(problemsWith({ pipeline: ordersPipeline({ name: 'o'.repeat(63) }) })).toEqual([]);
  });

  it('two sinks of one name, of whatever kind', () => {
    const sinks = [TOTALS, { ...MAIL, name: 'totals' }];
    expect(problemWith({ pipeline: ordersPipeline({ sinks }) })).toBe(
      'Two sinks are named "totals"; output ids contain the name: rename one of them.',
    );
  });

  it('a sink without a name', () => {
    const sinks = [{ ...MAIL, name: '' }];
    expect(problemWith({ pipeline: ordersPipeline({ sinks }) })).toBe(
      'A sink has an empty name: give each sink a name, since output ids contain it.',
    );
  });

  it('two sinks that would share an environment variable', () => {
    const sinks = [
      { ...TOTALS, name: 'by-day' },
      { ...LATEST, name: 'By_Day' },
    ];
    expect(problemWith({ pipeline: ordersPipeline({ sinks }) })).toBe(
      'Sinks "by-day" and "By_Day" would share the environment variable TIDEMARK_SINK_BY_DAY: rename one so that ' +
        'they differ in more than case and punctuation.',
    );
  });
});

describe('streams that do not go together are refused', () => {
  it('a sink that writes to the stream that is read', () => {
    const sinks = [{ kind: 'kinesis', name: 'again', stream: 'orders' } as const];
    expect(problemWith({ pipeline: ordersPipeline({ sinks }) })).toBe(
      'Sink "again" writes to "orders", the stream that the pipeline reads: every output would come back as input, ' +
        'without end. Give the sink another stream.',
    );
  });

  it('an existing sink stream that is the existing source under another name', () => {
    const stack = emptyStack();
    const settings = {
      stream: Stream.fromStreamArn(stack, 'Read', EXISTING_ARN),
      sinkStreams: { totals: Stream.fromStreamArn(stack, 'Written', EXISTING_ARN) },
    };
    expect(problemWith(settings, stack)).toContain('every output would come back as input');
  });

  it('an existing stream for a sink that there is not', () => {
    const stack = emptyStack();
    const sinkStreams = { latest: Stream.fromStreamArn(stack, 'Written', EXISTING_ARN) };
    expect(problemWith({ sinkStreams }, stack)).toBe(
      'sinkStreams names "latest", which is no Kinesis sink of the pipeline; its Kinesis sinks are ["totals"]: use ' +
        'one of these names or remove the entry.',
    );
  });

  it('an existing table for a sink that there is not', () => {
    const sinkTables = { totals: new StatefulPipeline(emptyStack(), 'Other', ordersSettings()).stateTable };
    expect(problemWith({ sinkTables })).toBe(
      'sinkTables names "totals", which is no DynamoDB sink of the pipeline; its DynamoDB sinks are ["latest"]: use ' +
        'one of these names or remove the entry.',
    );
  });

  it('two sinks on one stream of which only one is told which stream that is', () => {
    const stack = emptyStack();
    const settings = {
      pipeline: ordersPipeline({ sinks: [TOTALS, { ...TOTALS, name: 'large-totals' }] }),
      sinkStreams: { totals: Stream.fromStreamArn(stack, 'Written', EXISTING_ARN) },
    };
    expect(problemWith(settings, stack)).toBe(
      'Sinks "totals" and "large-totals" both write to stream order-totals, but are given different ones: give both ' +
        'the same existing one, or name two destinations in the pipeline.',
    );
  });

  it('shards for a stream on demand', () => {
    expect(problemWith({ streamMode: StreamMode.ON_DEMAND, shardCount: 4 })).toBe(
      'shardCount is 4, but the stream is on demand, where Kinesis chooses the shards: remove shardCount, or set ' +
        'streamMode to PROVISIONED.',
    );
  });

  it('a provisioned stream without shards', () => {
    expect(problemWith({ streamMode: StreamMode.PROVISIONED })).toBe(
      'streamMode is "PROVISIONED", but shardCount is not given: give it, or set streamMode to ON_DEMAND.',
    );
  });

  it('settings of a created stream for an existing one', () => {
    const stack = emptyStack();
    const settings = {
      stream: Stream.fromStreamArn(stack, 'Read', EXISTING_ARN),
      shardCount: 4,
      streamMode: StreamMode.PROVISIONED,
    };
    expect(problemsWith(settings, stack)).toEqual([
      'shardCount is 4, but the source stream exists already: remove shardCount, or remove "stream" to have one ' +
        'created.',
      'streamMode is "PROVISIONED", but the source stream exists already: remove streamMode, or remove "stream" to ' +
        'have one created.',
    ]);
  });

  it('shards for sink streams where none is created', () => {
    const stack = emptyStack();
    const sinkStreams = { totals: Stream.fromStreamArn(stack, 'Written', EXISTING_ARN) };
    expect(problemWith({ sinkStreams, sinkShardCount: 2 }, stack)).toBe(
      'sinkShardCount is 2, but no sink stream is created: remove sinkShardCount.',
    );
  });
});

describe('numbers outside the limits of AWS are refused, the limits themselves are not', () => {
  it.each<[string, OrdersSettings[], OrdersSettings[]]>([
    [
      'batchSize is %v; it must be a whole number from 1 to 10000 records.',
      [{ batchSize: 1 }, { batchSize: 10_000 }],
      [{ batchSize: 0 }, { batchSize: 10_001 }, { batchSize: 1.5 }, { batchSize: Number.NaN }],
    ],
    [
      'parallelizationFactor is %v; it must be a whole number from 1 to 10 batches.',
      [{ parallelizationFactor: 1 }, { parallelizationFactor: 10 }],
      [{ parallelizationFactor: 0 }, { parallelizationFactor: 11 }],
    ],
    [
      'shardCount is %v; it must be a whole number from 1 to 10000 shards.',
      [{ shardCount: 1 }],
      [{ shardCount: 0 }],
    ],
    [
      'memorySize is %v; it must be a whole number from 128 to 10240 MiB.',
      [{ memorySize: 128 }, { memorySize: 10_240 }],
      [{ memorySize: 127 }, { memorySize: 10_241 }],
    ],
  ])('%s', (message, right, wrong) => {
    for (const settings of right) expect(problemsWith(settings)).toEqual([]);
    for (const settings of wrong) {
      expect(problemWith(settings)).toBe(message.replace('%v', `${Object.values(settings)[0] as number}`));
    }
  });

  it('batches of one shard side by side, where an event time needs their order', () => {
    const timed = ordersPipeline({ time: { at: 0, latenessMs: 0 } });
    expect(problemsWith({ pipeline: timed })).toEqual([]);
    expect(problemsWith({ pipeline: timed, parallelizationFactor: 1 })).toEqual([]);
    expect(problemWith({ pipeline: timed, parallelizationFactor: 2 })).toBe(
      'parallelizationFactor is 2, but the pipeline has an event time; only 1 is allowed, because above it the records ' +
        'of a shard are processed side by side, and which of them are late would depend on how Lambda deals them out. ' +
        'Remove parallelizationFactor, and give the stream more shards where one batch at a time is too slow.',
    );
  });

  it.each([0, 300])('a batching window of %i seconds is accepted, also with 10,000 records', (seconds) => {
    expect(problemsWith({ batchSize: 10_000, maximumBatchingWindow: Duration.seconds(seconds) })).toEqual([]);
  });

  it('a batching window above five minutes', () => {
    expect(problemWith({ maximumBatchingWindow: Duration.seconds(301) })).toBe(
      'maximumBatchingWindow is 301; it must be a whole number from 0 to 300 seconds.',
    );
  });

  it.each([24, 8760])('a retention of %i hours is accepted', (retentionHours) => {
    expect(problemsWith({ pipeline: ordersPipeline({ retentionHours }) })).toEqual([]);
  });

  it.each([23, 8761])('a retention of %i hours', (retentionHours) => {
    expect(problemWith({ pipeline: ordersPipeline({ retentionHours }) })).toBe(
      `The source's "retentionHours" is ${retentionHours}; it must be a whole number from 24 to 8760 hours.`,
    );
  });

  it.each([12, 900])('a timeout of %i seconds is accepted', (seconds) => {
    expect(problemsWith({ timeout: Duration.seconds(seconds) })).toEqual([]);
  });

  it.each([11, 901])('a timeout of %i seconds', (seconds) => {
    expect(problemWith({ timeout: Duration.seconds(seconds) })).toBe(
      `timeout is ${seconds}; it must be a whole number from 12 to 900 seconds. The engine stops 2 seconds before ` +
        'the deadline and needs at least 10 for work; Lambda ends an invocation after 900.',
    );
  });
});

describe('other settings that cannot work are refused', () => {
  it('a starting time without a starting position that uses it', () => {
    expect(problemWith({ startingPositionTimestamp: 1_767_225_600 })).toBe(
      'startingPositionTimestamp is 1767225600, but startingPosition is TRIM_HORIZON: set startingPosition to ' +
        'AT_TIMESTAMP or remove the timestamp.',
    );
  });

  it.each([undefined, 1_767_225_600.5])('AT_TIMESTAMP with the time %s', (timestamp) => {
    const settings = {
      startingPosition: StartingPosition.AT_TIMESTAMP,
      ...(timestamp === undefined ? {} : { startingPositionTimestamp: timestamp }),
    };
    expect(problemWith(settings)).toBe(
      `startingPosition is AT_TIMESTAMP and startingPositionTimestamp is ${timestamp}; it must be whole seconds ` +
        'since the epoch, such as 1767225600: give it.',
    );
  });

  it('are refused where checkpoints would come too seldom to be replayed from, or none would stay', () => {
    expect(problemWith({ checkpoints: { interval: Duration.hours(25) } })).toContain(
      'checkpoints.interval is 1500 minutes; it must be whole minutes from 1 to 1440',
    );
    expect(problemWith({ checkpoints: { interval: Duration.seconds(90) } })).toContain('1.5 minutes');
    expect(problemWith({ checkpoints: { keepLast: 0 } })).toContain('checkpoints.keepLast is 0');
    expect(problemWith({ checkpoints: { readUnitsPerSecond: 1 } })).toContain('from 100 to');
    expect(problemWith({ checkpoints: { fullEvery: 0 } })).toContain('from 1 to 100');
  });

  it('are refused where timers cannot fire so often', () => {
    const pipeline = ordersPipeline({ time: { at: 0, latenessMs: 0 } });
    const every = (seconds: number) => ({ pipeline, timers: { interval: Duration.seconds(seconds) } });
    expect(problemsWith(every(5))).toEqual([]);
    expect(problemsWith(every(60))).toEqual([]);
    expect(problemWith(every(4))).toBe(
      'timers.interval is 4; it must be a whole number from 5 to 60 seconds.',
    );
    expect(problemWith(every(300))).toContain('timers.interval is 300; it must be');
    expect(problemWith({ ...every(10), timeout: Duration.seconds(30) })).toBe(
      'timers.interval is 10 seconds and timeout 30: an invocation sweeps for a minute, and Lambda would end it before. ' +
        'Let timeout be at least 60 seconds, or timers.interval a minute.',
    );
    expect(problemsWith({ ...every(60), timeout: Duration.seconds(30) })).toEqual([]);
    expect(problemWith({ timers: {} })).toContain('timers is given, and the pipeline has no time');
    // One place more than shards and commands take.
    expect(problemsWith({ ...every(60), reservedConcurrency: 2 })).toEqual([]);
    expect(problemWith({ ...every(10), reservedConcurrency: 2 })).toContain('reservedConcurrency is 2');
    expect(problemsWith({ ...every(10), reservedConcurrency: 3 })).toEqual([]);
  });

  it('an alarm that comes when records are being lost', () => {
    expect(problemWith({ alarms: { iteratorAge: Duration.hours(25) } })).toBe(
      "alarms.iteratorAge is 90000 seconds; it must be above 0 and at most 86400, half of the source's retention, " +
        'since records are lost after that: lower it.',
    );
  });

  it.each(['TIDEMARK_BUCKET', 'POWERTOOLS_SERVICE_NAME', 'NODE_OPTIONS'])('the variable %s', (variable) => {
    expect(problemWith({ environment: { [variable]: 'x' } })).toBe(
      `environment sets ${variable}, which the construct sets itself: choose another name.`,
    );
  });

  it('several of them, all told at once', () => {
    expect(problemsWith({ batchSize: 0, memorySize: 1, maximumRetryAttempts: 3 })).toHaveLength(3);
  });

  it('a table to look rows up in that nobody has named, and one that nobody looks into', () => {
    const looking = pipeline('looking')
      .from(kinesis('all-orders', { codec: 'text' }))
      .keyBy((order) => order)
      .broadcast(lookupTable('rules'), (order) => order);
    const stack = emptyStack();
    const table = new Table(stack, 'Prices', { partitionKey: { name: 'pk', type: AttributeType.STRING } });
    expect(problemsWith({ pipeline: looking, lookupTables: { prices: table } }, stack)).toEqual([
      'The pipeline looks rows up in table "rules", and lookupTables does not say which that is: give an existing one, ' +
        'or what another pipeline of the app writes, such as `other.sinks.tables.get(…)`.',
      'lookupTables names "prices", in which the pipeline looks nothing up; it does in ["rules"]: use one of these ' +
        'names or remove the entry.',
    ]);
  });
});

function ordersSettings(): { pipeline: ReturnType<typeof ordersPipeline>; handlerFile: string } {
  return { pipeline: ordersPipeline(), handlerFile: SMALL_HANDLER_FILE };
}
