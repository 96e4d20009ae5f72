/**
 * List prices in US dollars, without free tiers, discounts or taxes. They change seldom and differ by region: whoever
 * decides by them looks at the pages that are named here first.
 */
export const LIST_PRICES = {
  region: 'us-east-1',
  /** For when they are stated. */
  asOf: '2026-08',
  /** Those that no page or fact of that time was compared with: look them up before you decide. */
  unchecked: [
    'Flink',
    'EMR Serverless',
    'S3 storage and gets',
    'CloudWatch',
    'X-Ray',
    'point-in-time recovery',
  ],
  sources: [
    'aws.amazon.com/dynamodb/pricing/on-demand',
    'aws.amazon.com/lambda/pricing',
    'aws.amazon.com/kinesis/data-streams/pricing',
    'aws.amazon.com/s3/pricing',
    'aws.amazon.com/cloudwatch/pricing',
    'aws.amazon.com/xray/pricing',
    'aws.amazon.com/managed-service-apache-flink/pricing',
    'aws.amazon.com/emr/pricing',
  ],
  dynamoDb: {
    /** On demand, standard table class. */
    millionWriteUnits: 0.625,
    millionReadUnits: 0.125,
    gbMonth: 0.25,
    /** Of point-in-time recovery. */
    recoveryGbMonth: 0.2,
  },
  lambda: {
    millionRequests: 0.2,
    /** Arm, the first tier. */
    gbSecond: 0.0000133334,
  },
  kinesis: {
    /** Provisioned. */
    shardHour: 0.015,
    /** Of 25 KB each. */
    millionPutUnits: 0.014,
  },
  s3: { gbMonth: 0.023, thousandPuts: 0.005, thousandGets: 0.0004 },
  cloudWatch: { metricMonth: 0.3, alarmMonth: 0.1, dashboardMonth: 3, logGb: 0.5 },
  xRay: { millionTraces: 5 },
  flink: {
    /** 1 vCPU and 4 GB; one more than the application has runs it. */
    kpuHour: 0.11,
    /** Of running application storage, of which each KPU has 50 GB. */
    storageGbMonth: 0.1,
  },
  /** Workers with x86; those with Arm cost about a fifth less. */
  emrServerless: { vcpuHour: 0.052624, gbHour: 0.0057785 },
} as const;

export const HOURS_PER_MONTH = 730;
export const SECONDS_PER_MONTH = HOURS_PER_MONTH * 3_600;
