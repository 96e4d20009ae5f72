import { kinesis, pipeline } from '../../shared/index.ts';

export default pipeline('word-count')
  .from(kinesis('lines', { codec: 'text' }))
  .flatMap((line) => line.toLowerCase().match(/\p{L}+/gu) ?? [])
  .keyBy((word) => word)
  .aggregateByKey(
    'count',
    () => 0,
    (total) => total + 1,
  )
  .to(kinesis('word-counts'));
