import { hostEngine } from './engine-host.ts';
import { ObjectFiles } from './object-files.ts';
import { type EngineStores, keepInFiles, keepInOrder, type ObjectStore } from './object-store.ts';
import { s3ErrorXml } from './s3-error.ts';
import { isConditionable, refuseWrite } from './s3-preconditions.ts';
import type { S3Refusal, S3Request } from './s3-request.ts';
import { refuseSubresource } from './s3-subresources.ts';

export interface ObjectAndQueueSettings {
  /** Where objects are kept; without it they are gone when the engine stops. Messages are gone in any case. */
  readonly directory?: string;
}

hostEngine<ObjectAndQueueSettings>(async ({ directory }) => {
  const { buildApp } = await import('fauxqs');
  // The package exports its app but not its stores; a file URL reaches what the exports map does not name.
  const load = (file: string) =>
    import(new URL(file, import.meta.resolve('fauxqs')).href) as Promise<unknown>;
  const { S3Store } = (await load('./s3/s3Store.js')) as { S3Store: new () => EngineStores['s3Store'] };
  const { SqsStore } = (await load('./sqs/sqsStore.js')) as { SqsStore: new () => EngineStores['sqsStore'] };
  const store = keepInOrder(new S3Store());
  if (directory !== undefined) keepInFiles(store, new ObjectFiles(directory));

  // Without a host of its own it names queues by the one in the request, 127.0.0.1, which resolves everywhere.
  const sqsStore = Object.assign(new SqsStore(), { host: undefined });
  // fauxqs makes the store of topics that it is not given.
  const stores = { s3Store: store, sqsStore } as Partial<EngineStores> as EngineStores;
  const app = buildApp({ logger: false, stores });

  app.addHook('onRequest', (request, reply, done) => {
    const asked = readS3Request(request.method, request.params, request.query);
    const refusal = asked && refuseSubresource(asked);
    if (refusal === undefined) done();
    else void refuse(reply, refusal);
  });
  // Nothing runs between this hook and the handler that writes, so that of two writers only one finds no object.
  app.addHook('preHandler', (request, reply, done) => {
    const asked = readS3Request(request.method, request.params, request.query);
    const refusal =
      asked !== undefined && isConditionable(asked) && store.hasBucket(asked.bucket)
        ? refuseWrite(
            { ifNoneMatch: request.headers['if-none-match'], ifMatch: request.headers['if-match'] },
            findEtag(store, asked),
          )
        : undefined;
    if (refusal === undefined) done();
    else void refuse(reply, refusal);
  });

  const address = await app.listen({ host: '127.0.0.1', port: 0 });
  return { port: Number(new URL(address).port), stop: () => app.close() };
});

function readS3Request(method: string, parameters: unknown, query: unknown): S3Request | undefined {
  const { bucket, '*': key = '' } = parameters as { bucket?: string; '*'?: string };
  return bucket === undefined ? undefined : { method, bucket, key, query: query as S3Request['query'] };
}

interface Reply {
  status(code: number): Reply;
  header(name: string, value: string): Reply;
  send(body: string): unknown;
}

function refuse(reply: Reply, { status, code, message }: S3Refusal): unknown {
  return reply.status(status).header('content-type', 'application/xml').send(s3ErrorXml(code, message));
}

function findEtag(store: ObjectStore, { bucket, key }: S3Request): string | undefined {
  try {
    return store.getObject(bucket, key).etag;
  } catch {
    // The store says by an exception that there is no such object.
    return undefined;
  }
}
