/**
 * Resource types that do nothing on this machine, and why that changes nothing about what a pipeline computes. A type
 * that is neither here nor given a meaning is named in a notice.
 */
export const WITHOUT_LOCAL_MEANING: ReadonlyMap<string, string> = new Map([
  ['AWS::IAM::Role', 'the engines check no permissions'],
  ['AWS::IAM::Policy', 'the engines check no permissions'],
  ['AWS::IAM::ManagedPolicy', 'the engines check no permissions'],
  ['AWS::Lambda::Permission', 'the engines check no permissions'],
  ['AWS::S3::BucketPolicy', 'the engines check no permissions'],
  ['AWS::SQS::QueuePolicy', 'the engines check no permissions'],
  ['AWS::Kinesis::ResourcePolicy', 'the engines check no permissions'],
  ['AWS::KMS::Key', 'the engines encrypt nothing'],
  ['AWS::KMS::Alias', 'the engines encrypt nothing'],
  ['AWS::CloudWatch::Alarm', 'nothing collects metrics here'],
  ['AWS::CloudWatch::CompositeAlarm', 'nothing collects metrics here'],
  ['AWS::CloudWatch::Dashboard', 'nothing collects metrics here'],
  ['AWS::Logs::LogGroup', 'functions write their logs to this process'],
  ['AWS::Logs::MetricFilter', 'functions write their logs to this process'],
  ['AWS::Logs::SubscriptionFilter', 'functions write their logs to this process'],
  ['AWS::Lambda::Version', 'the function as it is in the template is the only version'],
  ['AWS::Lambda::Alias', 'the function as it is in the template is the only version'],
  ['AWS::Lambda::EventInvokeConfig', 'event source mappings and schedules do not use it'],
  ['AWS::CDK::Metadata', 'it tells AWS which constructs are in use'],
  ['Custom::LogRetention', 'functions write their logs to this process'],
  ['Custom::S3AutoDeleteObjects', 'buckets are deleted with their folder'],
  ['Custom::CrossRegionExportReader', 'there is one region here'],
  ['Custom::CrossRegionExportWriter', 'there is one region here'],
]);
