/** Each skipped test as a line of JSON: where it is, its title and why. */
export default async function* skippedTests(events) {
	for await (const {type, data} of events) {
		if (type !== 'test:pass' && type !== 'test:fail') continue;
		if (data.skip === undefined || data.skip === false) continue;
		yield `${JSON.stringify({file: data.file, title: data.name, why: data.skip === true ? '' : String(data.skip)})}\n`;
	}
}
