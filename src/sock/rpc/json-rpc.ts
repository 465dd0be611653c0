import {isUtf8} from 'node:buffer';
import {elementsOf, kindOf, membersOf} from './json-text.js';

/**
 * JSON-RPC 2.0, as https://www.jsonrpc.org/specification has it. Values travel as the text they were written in: an id
 * comes back as it was sent, a result is what the method said, whatever a JavaScript number would make of either.
 */

/** Why a call failed, as the answer says it. */
export interface CallError {
	code: number;
	message: string;
	/** A JSON value as text. */
	data?: string | undefined;
}

export const parseError: CallError = {code: -32700, message: 'Parse error'};
export const invalidRequest: CallError = {code: -32600, message: 'Invalid Request'};
export const methodNotFound: CallError = {code: -32601, message: 'Method not found'};
export const invalidParams: CallError = {code: -32602, message: 'Invalid params'};
export const internalError: CallError = {code: -32603, message: 'Internal error'};
/** What the server has to say itself: the first of those that the standard leaves to it. */
export const serverError = -32000;

/** The same error, and more about it. */
export const withData = (error: CallError, data: unknown): CallError => ({...error, data: JSON.stringify(data)});

/** One call, as it was asked for. */
export interface Request {
	/** A JSON value as text; undefined for a notification, which gets no answer. */
	id: string | undefined;
	method: string;
	/** An array or an object as text; undefined when there were none. */
	params: string | undefined;
}

/** What is no call, and its id where that could be told. */
export interface Refused {
	id: string;
	error: CallError;
}

export type Message =
	| {isBatch: false; calls: [Request | Refused]}
	/** One at least. */
	| {isBatch: true; calls: (Request | Refused)[]};

export const isRefused = (call: Request | Refused): call is Refused => 'error' in call;

const noId = 'null';

/** The JSON text that these bytes are; undefined when they are none. */
export function jsonText(bytes: Buffer): string | undefined {
	const text = utf8Text(bytes);
	return text === undefined || parse(text) === undefined ? undefined : text;
}

/** A JSON text's value; undefined when it is none, which no JSON text has for a value. */
export function parse(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return undefined;
	}
}

function utf8Text(bytes: Buffer): string | undefined {
	const text = bytes.toString();
	// What stands in place of bytes that are not UTF-8 may also have been sent.
	return text.includes('\ufffd') && !isUtf8(bytes) ? undefined : text;
}

/** What a client asks for with one message. */
export function readRequests(bytes: Buffer): Message {
	const text = jsonText(bytes);
	if (text === undefined) return {isBatch: false, calls: [{id: noId, error: parseError}]};
	if (kindOf(text) !== 'array') return {isBatch: false, calls: [readRequest(text)]};
	const elements = elementsOf(text);
	if (elements.length === 0) return {isBatch: false, calls: [{id: noId, error: invalidRequest}]};
	return {isBatch: true, calls: elements.map(readRequest)};
}

function readRequest(text: string): Request | Refused {
	if (kindOf(text) !== 'object') return {id: noId, error: invalidRequest};
	const members = membersOf(text);
	const id = members.get('id');
	const method = members.get('method');
	const params = members.get('params');
	const isIdRight = id === undefined || isId(id);
	const isRight =
		isIdRight &&
		isVersion2(members.get('jsonrpc')) &&
		method !== undefined &&
		kindOf(method) === 'string' &&
		(params === undefined || kindOf(params) === 'array' || kindOf(params) === 'object');
	if (!isRight) return {id: (isIdRight ? id : undefined) ?? noId, error: invalidRequest};
	return {id, method: JSON.parse(method) as string, params};
}

const isVersion2 = (value: string | undefined): boolean =>
	value === '"2.0"' || (value?.startsWith('"') === true && JSON.parse(value) === '2.0');

const isId = (value: string): boolean => ['string', 'number', 'null'].includes(kindOf(value));

/** A call as text; without an id it is a notification. */
export function formatRequest({id, method, params}: Request): string {
	const given = params === undefined ? '' : `,"params":${params}`;
	return `{"jsonrpc":"2.0","method":${JSON.stringify(method)}${given}${id === undefined ? '' : `,"id":${id}`}}`;
}

/** How a call ended: its result as JSON text, or why there is none. */
export type CallResult = {result: string} | {error: CallError};

export function formatResponse(id: string, outcome: CallResult): string {
	if ('result' in outcome) return `{"jsonrpc":"2.0","result":${outcome.result},"id":${id}}`;
	return `{"jsonrpc":"2.0","error":${formatError(outcome.error)},"id":${id}}`;
}

export function formatError({code, message, data}: CallError): string {
	return `{"code":${code},"message":${JSON.stringify(message)}${data === undefined ? '' : `,"data":${data}`}}`;
}

/** An answer, as a server gave it. */
export interface Response {
	/** Undefined where it has none: then it is no answer to any call of ours. */
	id: string | undefined;
	outcome: CallResult;
}

/** What a server's message holds: answers, and how many other things, such as notifications. */
export function readResponses(text: string): {responses: Response[]; others: string[]} {
	const responses: Response[] = [];
	const others: string[] = [];
	for (const item of kindOf(text) === 'array' ? elementsOf(text) : [text]) {
		const response = kindOf(item) === 'object' ? readResponse(membersOf(item)) : undefined;
		if (response) responses.push(response);
		else others.push(item);
	}
	return {responses, others};
}

/** Undefined when it is no answer. Version 1.0 has both members in each, and null in one of them. */
export function readResponse(members: ReadonlyMap<string, string>): Response | undefined {
	if (members.has('method')) return undefined;
	const id = members.get('id');
	const error = members.get('error');
	const result = members.get('result');
	if (error !== undefined && error !== 'null') return {id, outcome: {error: readError(error)}};
	return result === undefined ? undefined : {id, outcome: {result}};
}

/** Whatever a server has for an error. */
export function readError(text: string): CallError {
	if (kindOf(text) !== 'object') {
		const message = kindOf(text) === 'string' ? (JSON.parse(text) as string) : text;
		return {code: 0, message};
	}
	const members = membersOf(text);
	const code = Number(members.get('code') ?? 0);
	const said = members.get('message');
	const message = said !== undefined && kindOf(said) === 'string' ? (JSON.parse(said) as string) : text;
	return {code: Number.isInteger(code) ? code : 0, message, data: members.get('data')};
}
