import {quoted, UsageError} from '../../common/errors.js';
import {hasOddBytes} from '../../common/formats/odd-bytes.js';
import {jsonText} from './json-rpc.js';
import {compact, kindOf} from './json-text.js';

export interface ParameterWishes {
	/** PARAMs are NAME=VALUE. */
	named: boolean;
	/** Values are strings even if they could be JSON. */
	string: boolean;
	/** All of them as one JSON text. */
	params: string | undefined;
}

/** A word of the command line as JSON: valid JSON unchanged, anything else as a string. */
function jsonOf(word: string, isString: boolean): string {
	if (hasOddBytes(word)) throw new UsageError(`${quoted(word)} is not valid UTF-8, as JSON must be`);
	const json = isString ? undefined : jsonText(Buffer.from(word));
	return json === undefined ? JSON.stringify(word) : compact(json.trim());
}

/** The parameters of the words, as an array or an object; undefined for no parameters. @throws UsageError */
export function parametersOf(words: readonly string[], {named, string, params}: ParameterWishes): string | undefined {
	if (params !== undefined) {
		if (words.length > 0) throw new UsageError('--params cannot be combined with PARAM');
		const json = jsonText(Buffer.from(params));
		if (json === undefined) throw new UsageError('--params: it is not JSON');
		if (kindOf(json) !== 'array' && kindOf(json) !== 'object')
			throw new UsageError('--params: an array or an object is expected');
		return compact(json.trim());
	}
	if (words.length === 0) return undefined;
	if (!named) return `[${words.map((word) => jsonOf(word, string)).join(',')}]`;
	const members = words.map((word) => {
		const equals = word.indexOf('=');
		if (equals < 1) throw new UsageError(`${quoted(word)} is not a named parameter: NAME=VALUE is expected`);
		return [word.slice(0, equals), jsonOf(word.slice(equals + 1), string)] as const;
	});
	const twice = members.find(([name], i) => members.findIndex(([other]) => other === name) < i);
	if (twice) throw new UsageError(`the parameter ${quoted(twice[0])} is given twice`);
	return `{${members.map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(',')}}`;
}
