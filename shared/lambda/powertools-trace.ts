import { Tracer } from '@aws-lambda-powertools/tracer';
import type { Trace } from './trace.ts';

/** Its own module, loaded where `POWERTOOLS_TRACE_ENABLED` is `true`: X-Ray's SDK is slow to import. */
export function powertoolsTrace(): Trace {
  const tracer = new Tracer({ captureHTTPsRequests: false });
  return {
    client: (client) => tracer.captureAWSv3Client(client as never),
    batch: async (work) => {
      const parent = tracer.getSegment();
      const segment = parent?.addNewSubsegment('## processBatch');
      if (segment === undefined) return work();
      tracer.setSegment(segment);
      try {
        return await work();
      } catch (error) {
        tracer.addErrorAsMetadata(error as Error);
        throw error;
      } finally {
        segment.close();
        tracer.setSegment(parent as NonNullable<typeof parent>);
      }
    },
  };
}
