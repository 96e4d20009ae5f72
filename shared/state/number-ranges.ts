/** Whole numbers `from` up to, and without, `below`. */
export interface NumberRange {
  readonly from: number;
  readonly below: number;
}

/** @param numbers ascending, each once. */
export function rangesOf(numbers: readonly number[]): NumberRange[] {
  const ranges: { from: number; below: number }[] = [];
  for (const number of numbers) {
    const last = ranges.at(-1);
    if (last?.below === number) last.below += 1;
    else ranges.push({ from: number, below: number + 1 });
  }
  return ranges;
}

export function numbersIn(ranges: readonly NumberRange[]): number[] {
  return ranges.flatMap(({ from, below }) => Array.from({ length: below - from }, (_, at) => from + at));
}

/** `0-17,20` */
export function rangesText(ranges: readonly NumberRange[]): string {
  return ranges.map(({ from, below }) => (below === from + 1 ? String(from) : `${from}-${below - 1}`)).join();
}

/** What `rangesText` gave. */
export function rangesOfText(text: string): NumberRange[] {
  if (text === '') return [];
  return text.split(',').map((range) => {
    const [from, last = from] = range.split('-');
    return { from: Number(from), below: Number(last) + 1 };
  });
}
