import {command} from '../common/command.js';
import {about} from './about.js';
import {call} from './call.js';
import {connect} from './connect.js';
import {hub} from './hub.js';
import {list} from './list.js';
import {listen} from './listen.js';
import {recv} from './recv.js';
import {recvFd} from './recv-fd.js';
import {relay} from './relay.js';
import {remove} from './remove.js';
import {send} from './send.js';
import {sendFd} from './send-fd.js';
import {serve} from './serve.js';
import {stat} from './stat.js';
import {tap} from './tap.js';
import {wait} from './wait.js';

export const sock = command({
	...about,
	verbs: {
		listen,
		connect,
		send,
		recv,
		call,
		serve,
		relay,
		hub,
		wait,
		'send-fd': sendFd,
		'recv-fd': recvFd,
		tap,
		list,
		stat,
		remove,
	},
});
