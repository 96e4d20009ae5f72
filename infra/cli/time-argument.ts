import { InvalidArgumentError } from 'commander';

const AGO = /^(\d{1,6})([mhd])$/;
const UNIT_MS = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** `2026-11-25T09:00Z`, or `90m`, `12h`, `7d` ago: milliseconds since the epoch; `undefined` for what is no time. */
export function timeOf(text: string, nowMs: number): number | undefined {
  const ago = AGO.exec(text);
  if (ago !== null) return nowMs - Number(ago[1]) * UNIT_MS[ago[2] as keyof typeof UNIT_MS];
  const at = /^\d{4}-/.test(text) ? Date.parse(text) : NaN;
  return Number.isNaN(at) ? undefined : at;
}

/** Reads an option's time. */
export function timeArgument(nowMs: () => number): (text: string) => number {
  return (text) => {
    const at = timeOf(text, nowMs());
    if (at !== undefined) return at;
    throw new InvalidArgumentError('Allowed are a time like 2026-11-25T09:00Z, or 90m, 12h, 7d ago.');
  };
}
