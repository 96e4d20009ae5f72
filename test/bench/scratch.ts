import { engineCpu } from './engine-cpu.ts';
for (const bytes of [400,400]) console.log(JSON.stringify(await engineCpu(bytes)));
