import {isUtf8} from 'node:buffer';
import {elementsOf, kindOf, membersOf} from './json-text.js';

/**
 * JSON-RPC 2.0, as specified at https://www.jsonrpc.org/specification. Values are passed on as the text they were
 * written in: an id returns as it was sent, a result as the method printed it, even if a JavaScript number could not
 * hold it.
 */

/** Why a call failed, in the form of the answer. */
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

/** The same error with more details. */
export const withData = (error: CallError, data: unknown): CallError => ({...error, data: JSON.stringify(data)});

/** One call, as the client sent it. */
export interface Request {
	/** A JSON value as text; undefined for a notification, which gets no answer. */
	id: string | undefined;
	method: string;
	/** An array or an object as text; undefined when there were none. */
	params: string | undefined;
}

/** A message that is not a call, and its id if it could be read. */
export interface Refused {
	id: string;
	error: CallError;
}

export type Message =
	| {isBatch: false; calls: [Request | Refused]}
	/** At least one. */
	| {isBatch: true; calls: (Request | Refused)[]};

export const isRefused = (call: Request | Refused): call is Refused => 'error' in call;

const noId = 'null';

/** The JSON text that these bytes are; undefined when they are not JSON. */
export function jsonText(bytes: Buffer): string | undefined {
	const text = utf8Text(bytes);
	return text === undefined || parse(text) === undefined ? undefined : text;
}

/** A JSON text's value; undefined when the text is not JSON (no JSON text has the value undefined). */
export function parse(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return undefined;
	}
}

function utf8Text(bytes: Buffer): string | undefined {
	const text = bytes.toString();
	// The replacement for bytes that are not UTF-8 may also have been sent.
	return text.includes('\ufffd') && !isUtf8(bytes) ? undefined : text;
}

/** The calls of one message of a client. */
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

/** How a call ended: its result as JSON text, or the error. */
export type CallResult = {result: string} | {error: CallError};

export function formatResponse(id: string, outcome: CallResult): string {
	if ('result' in outcome) return `{"jsonrpc":"2.0","result":${outcome.result},"id":${id}}`;
	return `{"jsonrpc":"2.0","error":${formatError(outcome.error)},"id":${id}}`;
}

function formatError({code, message, data}: CallError): string {
	return `{"code":${code},"message":${JSON.stringify(message)}${data === undefined ? '' : `,"data":${data}`}}`;
}

/** An answer of a server. */
export interface Response {
	/** Undefined if it has none: then it is not an answer to any call of ours. */
	id: string | undefined;
	outcome: CallResult;
}

/** The contents of a server's message: answers, and the number of other items, such as notifications. */
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

/** Undefined when it is not an answer. Version 1.0 has both members in each, and null in one of them. */
export function readResponse(members: ReadonlyMap<string, string>): Response | undefined {
	if (members.has('method')) return undefined;
	const id = members.get('id');
	const error = members.get('error');
	const result = members.get('result');
	if (error !== undefined && error !== 'null') return {id, outcome: {error: readError(error)}};
	return result === undefined ? undefined : {id, outcome: {result}};
}

/** Any form of error that a server sends. */
function readError(text: string): CallError {
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
