import type { buildApp } from 'fauxqs';
import type { ObjectFiles } from './object-files.ts';
import { listPage } from './object-listing.ts';

/** The stores that fauxqs takes, and makes itself where it is given none. */
export type EngineStores = NonNullable<NonNullable<Parameters<typeof buildApp>[0]>['stores']>;

/** fauxqs' objects, in memory. */
export type ObjectStore = EngineStores['s3Store'];

/** Lists in the order of UTF-8 bytes, as S3 does: fauxqs sorts keys by locale and compares them as UTF-16. */
export function keepInOrder(store: ObjectStore): ObjectStore {
  const listAll = store.listObjects.bind(store);
  store.listObjects = (bucket, options = {}) =>
    listPage(listAll(bucket, { prefix: options.prefix ?? '', maxKeys: Infinity }).objects, options);
  return store;
}

/** Loads the objects that the files hold, and from then on writes every change before it is answered. */
export function keepInFiles(store: ObjectStore, files: ObjectFiles): ObjectStore {
  for (const bucket of files.listBuckets()) {
    store.createBucket(bucket);
    for (const kept of files.readObjects(bucket)) {
      const object = store.putObject(bucket, kept.key, kept.body, kept.contentType, { ...kept.metadata });
      // An object of several parts has another tag than its bytes alone would give.
      object.etag = kept.etag;
      object.lastModified = kept.lastModified;
    }
  }

  const createBucket = store.createBucket.bind(store);
  store.createBucket = (bucket) => {
    createBucket(bucket);
    files.createBucket(bucket);
  };
  const deleteBucket = store.deleteBucket.bind(store);
  store.deleteBucket = (bucket) => {
    deleteBucket(bucket);
    files.deleteBucket(bucket);
  };
  const putObject = store.putObject.bind(store);
  store.putObject = (bucket, key, ...rest) => {
    const object = putObject(bucket, key, ...rest);
    files.write(bucket, object);
    return object;
  };
  const deleteObject = store.deleteObject.bind(store);
  store.deleteObject = (bucket, key) => {
    deleteObject(bucket, key);
    files.delete(bucket, key);
  };

  const bucketsOfUploads = new Map<string, string>();
  const createMultipartUpload = store.createMultipartUpload.bind(store);
  store.createMultipartUpload = (bucket, ...rest) => {
    const uploadId = createMultipartUpload(bucket, ...rest);
    bucketsOfUploads.set(uploadId, bucket);
    return uploadId;
  };
  const completeMultipartUpload = store.completeMultipartUpload.bind(store);
  store.completeMultipartUpload = (uploadId, parts) => {
    const object = completeMultipartUpload(uploadId, parts);
    const bucket = bucketsOfUploads.get(uploadId);
    if (bucket !== undefined) files.write(bucket, object);
    bucketsOfUploads.delete(uploadId);
    return object;
  };
  const abortMultipartUpload = store.abortMultipartUpload.bind(store);
  store.abortMultipartUpload = (uploadId) => {
    abortMultipartUpload(uploadId);
    bucketsOfUploads.delete(uploadId);
  };
  return store;
}
