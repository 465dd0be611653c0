/** Whether the terminal shows more than ASCII, as the locale has it. locale(7) */
export function showsUnicode(): boolean {
	const {LC_ALL, LC_CTYPE, LANG} = process.env;
	return /utf-?8/i.test(LC_ALL || LC_CTYPE || LANG || '');
}
