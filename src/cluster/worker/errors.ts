import {JetStreamApiCodes, JetStreamApiError} from '@nats-io/jetstream';
import {
	AuthorizationError,
	ClosedConnectionError,
	ConnectionError,
	NoRespondersError,
	PermissionViolationError,
	RequestError,
	TimeoutError,
	UserAuthenticationExpiredError,
} from '@nats-io/transport-node';
import type {RefusalData} from '../protocol.js';

/** A refusal that a method finds out itself. */
export class Refused extends Error {
	constructor(readonly data: RefusalData) {
		super(data.text);
	}
}

export const refuse = (reason: string, text: string): never => {
	throw new Refused({reason, text});
};

const withoutJetStream: RefusalData = {
	reason: 'no-jetstream',
	text: 'the server runs without JetStream (start it with: nats-server -js -a 127.0.0.1)',
};

export const tooFewServers: RefusalData = {
	reason: 'replicas',
	text: 'the cluster has fewer servers than replicas are wanted',
};

/** An object that was there when it was opened. */
export const removed: RefusalData = {reason: 'removed', text: 'it has been removed'};

/** What an error of the client means, in a word and in words; undefined for a defect of ours. */
export function refusalOf(error: unknown): RefusalData | undefined {
	if (error instanceof Refused) return error.data;
	if (error instanceof JetStreamApiError) return refusalOfApi(error);
	// The client does not export this class.
	if (error instanceof Error && error.name === 'JetStreamNotEnabled') return withoutJetStream;
	if (error instanceof RequestError && error.isNoResponders()) return withoutJetStream;
	if (error instanceof NoRespondersError) return withoutJetStream;
	if (error instanceof RequestError && error.cause !== undefined) return refusalOf(error.cause);
	if (error instanceof PermissionViolationError)
		return {
			reason: 'denied',
			text: `the server does not permit this user to ${error.operation === 'publish' ? 'publish to' : 'subscribe to'} '${error.subject}'`,
		};
	if (error instanceof UserAuthenticationExpiredError) return {reason: 'denied', text: 'the credentials have expired'};
	if (error instanceof AuthorizationError)
		return {reason: 'denied', text: 'the server does not accept the user name, the password or the credentials'};
	if (error instanceof TimeoutError) return {reason: 'timeout', text: 'the cluster does not answer'};
	if (error instanceof ClosedConnectionError) return {reason: 'closed', text: 'the connection has been closed'};
	if (error instanceof ConnectionError) return {reason: 'unreachable', text: innermost(error)};
	return undefined;
}

function innermost(error: Error): string {
	return error.cause instanceof Error ? innermost(error.cause) : error.message;
}

const {StreamNotFound, ConsumerNotFound, StreamWrongLastSequence, JetStreamNotEnabledForAccount} = JetStreamApiCodes;
/** The codes that the client's list lacks. */
const nameInUse = 10058;
const maximumMessages = 10077;
const noSuitablePeers = 10005;
const insufficientResources = 10023;
const replicasNeedCluster = 10074;
const storageExceeded = 10047;
const onlyOneConsumer = 10099;
const noMessage = 10037;
const deletingFailed = 10057;

function refusalOfApi(error: JetStreamApiError): RefusalData {
	switch (error.code as number) {
		case StreamNotFound:
			return {reason: 'no-such', text: 'it does not exist'};
		case ConsumerNotFound:
			return {reason: 'no-consumer', text: 'its consumer has been removed'};
		case StreamWrongLastSequence:
			return {reason: 'changed', text: 'another process has changed it'};
		case nameInUse:
			return {reason: 'exists', text: 'it already exists, with other settings'};
		case JetStreamNotEnabledForAccount:
			return withoutJetStream;
		case maximumMessages:
			return {reason: 'full', text: 'it is full'};
		case onlyOneConsumer:
			return {reason: 'taken', text: 'another process receives from it'};
		case deletingFailed:
			if (!/no message found|deleted message/.test(error.message)) return {reason: 'other', text: error.message};
			return {reason: 'no-message', text: 'the message is gone'};
		case noMessage:
			return {reason: 'no-message', text: 'the message is gone'};
		case replicasNeedCluster:
		case noSuitablePeers:
			return tooFewServers;
		case insufficientResources:
		case storageExceeded:
			return {reason: 'no-room', text: 'the servers have no room for it'};
		default:
			if (error.status === 503) return error.code === 0 ? withoutJetStream : {reason: 'timeout', text: error.message};
			return {reason: 'other', text: error.message};
	}
}
