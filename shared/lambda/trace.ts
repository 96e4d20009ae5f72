/** Subsegments of X-Ray for SDK calls and batches; the version that does nothing costs nothing. */
export interface Trace {
  client<T extends object>(client: T): T;
  batch<R>(work: () => Promise<R>): Promise<R>;
}

export const noTrace: Trace = {
  client: (client) => client,
  batch: (work) => work(),
};
