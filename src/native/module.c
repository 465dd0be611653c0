/* Registers the facilities. */
#include "native.h"

NAPI_MODULE_INIT()
{
	export_wait(env, exports);
	export_wait_notice(env, exports);
	export_child(env, exports);
	export_file(env, exports);
	export_json_calls(env, exports);
	export_json_scan(env, exports);
	export_mqueue(env, exports);
	export_pipe(env, exports);
	export_transfer(env, exports);
	export_signal(env, exports);
	export_proc(env, exports);
	export_readiness(env, exports);
	export_process(env, exports);
	export_users(env, exports);
	export_records(env, exports);
	export_ring(env, exports);
	export_shm(env, exports);
	export_semaphore(env, exports);
	export_semaphore_lines(env, exports);
	export_duplex(env, exports);
	export_socket(env, exports);
	export_sock_diag(env, exports);
	export_terminal(env, exports);
	export_watchdog(env, exports);
	return exports;
}
