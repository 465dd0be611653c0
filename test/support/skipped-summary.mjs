/**
 * One line for all that was skipped, from what skipped-reporter.mjs wrote: `skipped: 14 tests need mandoc, nc, socat; 2 tests need
 * root`. Undefined when nothing was.
 *
 * @param {string} lines
 * @returns {string | undefined}
 */
export function summaryOfSkipped(lines) {
	const reasons = lines
		.split('\n')
		.filter((line) => line !== '')
		.map((line) => /** @type {{why: string}} */ (JSON.parse(line)).why);
	if (reasons.length === 0) return undefined;
	/** @type {Set<string>} */
	const programs = new Set();
	/** @type {Map<string, number>} */
	const counts = new Map();
	for (const why of reasons) {
		const names = /^needs ([\w.+-]+(?:, [\w.+-]+)*)$/.exec(why)?.[1]?.split(', ');
		for (const name of names ?? []) programs.add(name);
		const key = names ? '' : why || 'without a reason';
		counts.set(key, (counts.get(key) ?? 0) + 1);
	}
	const tests = (/** @type {number} */ count) => `${count} ${count === 1 ? 'test' : 'tests'}`;
	const needed = counts.get('');
	const parts = needed
		? [`${tests(needed)} ${needed === 1 ? 'needs' : 'need'} ${[...programs].sort().join(', ')}`]
		: [];
	for (const [why, count] of counts) {
		if (why === '') continue;
		parts.push(
			why.startsWith('needs ')
				? `${tests(count)} ${count === 1 ? why : why.replace(/^needs/, 'need')}`
				: `${tests(count)}: ${why}`,
		);
	}
	return `skipped: ${parts.join('; ')}`;
}
