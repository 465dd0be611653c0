const pending = new Set<() => void>();

process.on('exit', () => {
	for (const work of pending) work();
});
// Without these an interrupted test file ends without 'exit'.
for (const [signal, number] of Object.entries({SIGHUP: 1, SIGINT: 2, SIGTERM: 15}))
	process.once(signal, () => process.exit(128 + number));

/** What undoes something: it is done when the answer is called, or when the test file ends or is interrupted before. */
export function orAtExit(work: () => void): () => void {
	pending.add(work);
	return () => {
		if (pending.delete(work)) work();
	};
}
