import {SystemError, UsageError} from '../../common/errors.js';
import type {CallChannel, Deadline} from './call-channel.js';
import {type CallError, formatRequest, jsonText, type Request, type Response, readResponse} from './json-rpc.js';
import {elementsOf, kindOf, membersOf} from './json-text.js';

/** How a server wants to be asked, and how it answers. */
export interface Dialect {
	/** What is said before the first call. */
	greet?(channel: CallChannel, deadline: Deadline): void;
	format(request: Request): string;
	/** Ids have to be integers. */
	readonly hasIntegerIds?: boolean;
	/** Undefined for what is no answer, such as an event. */
	read(members: ReadonlyMap<string, string>): Response | undefined;
	/** The call that tells which methods there are, and what to make of its result: undefined when it is something else. */
	readonly listing: {readonly method: string; readonly params?: string; names(result: string): string[] | undefined};
}

const text = (value: string | undefined): string | undefined =>
	value !== undefined && kindOf(value) === 'string' ? (JSON.parse(value) as string) : undefined;

/** The names in a list of objects that have one, or in a list of names. */
function namesIn(list: string | undefined): string[] | undefined {
	if (list === undefined || kindOf(list) !== 'array') return undefined;
	return elementsOf(list).flatMap((item) => {
		const name = kindOf(item) === 'object' ? text(membersOf(item).get('name')) : text(item);
		return name === undefined ? [] : [name];
	});
}

const jsonRpc: Dialect = {
	format: formatRequest,
	read: readResponse,
	listing: {
		method: 'rpc.discover',
		names: (result) => namesIn(kindOf(result) === 'object' ? membersOf(result).get('methods') : result),
	},
};

/** QEMU's machine protocol: https://www.qemu.org/docs/master/interop/qmp-spec.html */
const qmp: Dialect = {
	greet(channel, deadline) {
		const greeting = nextObject(channel, deadline, (members) => members.has('QMP'));
		channel.send('{"execute":"qmp_capabilities"}\n');
		const answer: Map<string, string> | undefined =
			greeting && nextObject(channel, deadline, (members) => members.has('return') || members.has('error'));
		const error = answer?.get('error');
		const reason = error !== undefined && kindOf(error) === 'object' ? text(membersOf(error).get('desc')) : undefined;
		if (reason !== undefined) throw new SystemError(`${channel.shown} refused 'qmp_capabilities': ${reason}`);
		if (!answer?.has('return')) throw new SystemError(`${channel.shown} does not speak QMP (--preset qmp)`);
	},
	format({id, method, params}) {
		if (params !== undefined && kindOf(params) !== 'object')
			throw new UsageError('QMP has named parameters only: NAME=VALUE');
		const given = params === undefined ? '' : `,"arguments":${params}`;
		return `{"execute":${JSON.stringify(method)}${given}${id === undefined ? '' : `,"id":${id}`}}`;
	},
	read(members) {
		const id = members.get('id');
		const result = members.get('return');
		if (result !== undefined) return {id, outcome: {result}};
		const error = members.get('error');
		if (error === undefined) return undefined;
		const parts = kindOf(error) === 'object' ? membersOf(error) : undefined;
		const message = text(parts?.get('desc')) ?? error;
		return {id, outcome: {error: {code: 0, message, data: parts?.get('class')}}};
	},
	listing: {method: 'query-commands', names: namesIn},
};

/** mpv's: https://mpv.io/manual/stable/#json-ipc */
const mpv: Dialect = {
	hasIntegerIds: true,
	format({id, method, params}) {
		const name = JSON.stringify(method);
		const inner = params?.trim().slice(1, -1).trim() ?? '';
		const rest = inner === '' ? '' : `,${inner}`;
		const isNamed = params !== undefined && kindOf(params) === 'object';
		const command = isNamed ? `{"name":${name}${rest}}` : `[${name}${rest}]`;
		return `{"command":${command}${id === undefined ? '' : `,"request_id":${id}`}}`;
	},
	read(members) {
		const id = members.get('request_id');
		const error = text(members.get('error'));
		if (error === undefined || members.has('event')) return undefined;
		const failure: CallError = {code: 0, message: error};
		return {id, outcome: error === 'success' ? {result: members.get('data') ?? 'null'} : {error: failure}};
	},
	listing: {method: 'get_property', params: '["command-list"]', names: namesIn},
};

export const dialects = {jsonRpc, qmp, mpv};

/** The first object that is the one waited for; others, such as events, are passed over. */
function nextObject(
	channel: CallChannel,
	deadline: Deadline,
	isWanted: (members: Map<string, string>) => boolean,
): Map<string, string> | undefined {
	for (let bytes = channel.receive(deadline); bytes; bytes = channel.receive(deadline)) {
		const message = jsonText(bytes);
		if (message === undefined || kindOf(message) !== 'object') return undefined;
		const members = membersOf(message);
		if (isWanted(members)) return members;
	}
	return undefined;
}
