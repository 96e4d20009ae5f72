import { engineCpu } from './engine-cpu.ts';
for (const bytes of [150,150,150]) console.log(JSON.stringify(await engineCpu(bytes)));
