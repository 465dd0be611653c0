// What can stand on the two sides of the shared FIFO, as words of a pipeline.

/** Our two commands: they find the FIFO by its name. */
export function throughFifo(workshop, ...options) {
	const command = workshop.command('ipc-pipe');
	return [command, 'send', workshop.fifo, ...options, '@', command, 'recv', workshop.fifo, ...options];
}

/** Somebody who copies stdin to stdout, on both sides: the FIFO is the one's stdout and the other's stdin. */
export const twice = (...words) => [...words, '>', ...words];
