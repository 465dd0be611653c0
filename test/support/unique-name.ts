let counter = 0;

/** A name that no object of this machine has, not even one that a killed run with the same process ID has left behind. */
export function uniqueName(word?: string): string {
	const random = Math.random().toString(36).slice(2, 8);
	return ['ipc-test', ...(word ? [word] : []), process.pid, counter++, random].join('-');
}
