// What the figures were measured on.
import {availableParallelism, cpus, loadavg, release, totalmem} from 'node:os';

export function machineFacts() {
	return {
		date: new Date().toISOString(),
		kernel: release(),
		cpu: cpus()[0]?.model ?? 'unknown',
		cores: availableParallelism(),
		memoryGib: Math.round(totalmem() / 1024 ** 3),
		node: process.version,
		// Others at work on the machine spoil the figures: seen here, they explain an odd one.
		load: loadavg()[0],
	};
}

export const formatMachine = ({date, kernel, cpu, cores, memoryGib, node, load}) =>
	`Linux ${kernel}, ${cpu}, ${cores} cores, ${memoryGib} GiB, Node ${node}, ${date.slice(0, 16).replace('T', ' ')} UTC, load ${load.toFixed(2)}`;
