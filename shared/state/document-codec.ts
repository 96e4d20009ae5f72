import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import type { Row } from './attribute-bytes.ts';
import type { Document } from './document.ts';
import { setOwn } from './own-property.ts';

/**
 * A canonical document as a DynamoDB attribute, readable in the console. A number is an N in its shortest decimal
 * form, which gives the same double back. A bigint is a number set of one element: states use no sets otherwise, so
 * that bigint and number stay apart, and the console still shows a number.
 */
export function encodeDocument(document: Document): AttributeValue {
  if (typeof document === 'number') return { N: String(document) };
  if (typeof document === 'string') return { S: document };
  if (typeof document === 'bigint') return { NS: [String(document)] };
  if (typeof document === 'boolean') return { BOOL: document };
  if (document === null) return { NULL: true };
  if (document instanceof Uint8Array) return { B: document };
  return isList(document) ? { L: document.map(encodeDocument) } : { M: encodeMap(document) };
}

/** `Array.isArray` does not narrow readonly arrays. */
function isList(document: object): document is readonly Document[] {
  return Array.isArray(document);
}

function encodeMap(map: { readonly [name: string]: Document }): Row {
  const row: Row = {};
  for (const name of Object.keys(map)) setOwn(row, name, encodeDocument(map[name] as Document));
  return row;
}

/**
 * The canonical document of an attribute: names in order, whatever order the database gives them in (I10).
 * @throws TypeError for an attribute that `encodeDocument` does not make.
 */
export function decodeDocument(value: AttributeValue): Document {
  if (value.N !== undefined) return Number(value.N);
  if (value.S !== undefined) return value.S;
  if (value.M !== undefined) {
    const document: Record<string, Document> = {};
    for (const name of Object.keys(value.M).sort()) {
      setOwn(document, name, decodeDocument(value.M[name] as AttributeValue));
    }
    return document;
  }
  if (value.L !== undefined) return value.L.map(decodeDocument);
  if (value.BOOL !== undefined) return value.BOOL;
  if (value.NULL !== undefined) return null;
  // The SDK may give a Buffer, on memory that is shared with other answers.
  if (value.B !== undefined) return new Uint8Array(value.B);
  if (value.NS?.length === 1) return bigintOf(value.NS[0] as string);
  throw new TypeError(
    `A state holds an attribute of type ${Object.keys(value).join()}, which Tidemark does not write; was the item edited by hand?`,
  );
}

/** DynamoDB may write a long integer with an exponent. */
function bigintOf(text: string): bigint {
  const [, digits = text, decimals = '', exponent = '0'] =
    /^(-?\d+)(?:\.(\d+))?(?:E\+?(\d+))?$/i.exec(text) ?? [];
  return BigInt(digits + decimals + '0'.repeat(Number(exponent) - decimals.length));
}
