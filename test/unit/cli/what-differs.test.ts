import { describe, expect, it } from 'vitest';
import { whatDiffers } from '../../../infra/cli/compare.ts';

describe('what differs of two values', () => {
  it('is of two objects the fields that do, those that one lacks among them', () => {
    expect(whatDiffers('{"a":1,"b":[1],"c":3}', '{"a":1,"b":[2],"d":null}')).toEqual([
      '{"b":[1],"c":3}',
      '{"b":[2],"d":null}',
    ]);
  });

  it('is all of them otherwise', () => {
    expect(whatDiffers('[1,2]', '[1,3]')).toEqual(['[1,2]', '[1,3]']);
    expect(whatDiffers('{"a":1}', undefined)).toEqual(['{"a":1}', '']);
    expect(whatDiffers('null', '{"a":1}')).toEqual(['null', '{"a":1}']);
  });
});
