/** What a state may be: a native DynamoDB document. `undefined` properties are left out. */
export type Document =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly Document[]
  | { readonly [name: string]: Document };
