/** What other resources can learn of a resource: the value of `Ref`, and those of `Fn::GetAtt`. */
export interface ResourceIdentity {
  readonly ref: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** A resource whose properties hold no intrinsic function any more. */
export interface ResolvedResource {
  readonly logicalId: string;
  readonly type: string;
  readonly properties: Readonly<Record<string, unknown>>;
}

/** Gives a resource its physical name and attributes. The same resource gets the same ones every time. */
export type Identify = (resource: ResolvedResource) => ResourceIdentity;
